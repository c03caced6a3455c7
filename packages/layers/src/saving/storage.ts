import { BackendError, FormatError, ValueError } from '@adjoint/core'
import { show, typeName } from '@adjoint/core/extend'
import { type Database, indexedDb, type Request } from '../host.js'

// Models in a browser's IndexedDB, under `indexeddb://name`: one record each, put in a transaction of its own, so
// that it is there whole or the one before it still is.

const SCHEME = 'indexeddb://'
const DATABASE = 'adjoint'
const STORE = 'models'

/** The name of a model in the browser's storage; undefined for other addresses. */
export function storageName(what: string, address: string): string | undefined {
  if (!address.startsWith(SCHEME)) return undefined
  const name = address.slice(SCHEME.length)
  if (name === '') throw new ValueError(`${what}: ${show(address)} has no name; write indexeddb://my-model`)
  return name
}

/** @throws BackendError where it cannot be stored; then what was stored under the name before still is. */
export async function store(what: string, name: string, bytes: Uint8Array): Promise<void> {
  await withDatabase(`${what}: cannot store ${show(name)}`, async (database) => {
    const transaction = database.transaction(STORE, 'readwrite')
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(asError(transaction.error))
    })
    const request = transaction.objectStore(STORE).put(bytes, name)
    await Promise.all([finished(request), done])
  })
}

/** @throws FormatError where nothing is stored under the name, or no bytes are. */
export async function stored(what: string, name: string): Promise<Uint8Array> {
  const value = await withDatabase(`${what}: cannot read ${show(name)}`, (database) =>
    finished(database.transaction(STORE, 'readonly').objectStore(STORE).get(name)),
  )
  if (value instanceof Uint8Array) return value
  throw new FormatError(
    `${what}: the browser's storage holds ${value === undefined ? 'nothing' : `no bytes but ${typeName(value)}`} under ${show(name)}`,
  )
}

async function withDatabase<R>(what: string, use: (database: Database) => Promise<R>): Promise<R> {
  const factory = indexedDb()
  if (factory === undefined)
    throw new BackendError(`${what}: there is no IndexedDB here; use a path, or model.toBytes()`)
  let database: Database | undefined
  try {
    const request = factory.open(DATABASE, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE)
    }
    database = await finished(request)
    return await use(database)
  } catch (error) {
    throw new BackendError(`${what}: ${asError(error).message.slice(0, 300)}`, { cause: error })
  } finally {
    database?.close()
  }
}

function finished<R>(request: Request<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(asError(request.error))
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(`the storage refused it: ${show(error)}`)
}
