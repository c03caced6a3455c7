import { AdjointError, BackendError, FormatError, LimitError, ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { download, type Files, files, pathOfUrl, processId } from '../host.js'

/** Where a model comes from: a path, an address, or the bytes themselves. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer
/** The standard address object, of which only the text is used. */
interface URL {
  readonly href: string
}

/** The most that is read from anywhere. */
const MOST_BYTES = 2 ** 32

let written = 0

function filesOf(what: string): Files {
  const found = files()
  if (found === undefined)
    throw new BackendError(
      `${what}: there are no files here; use model.toBytes() and loadModel(bytes), and keep the bytes where you can`,
    )
  return found
}

/**
 * Writes a file whole or not at all: into a temporary file in the same folder, which then takes the place of the old
 * one. Of writers at the same time the last one wins.
 */
export async function writeFile(what: string, path: string, bytes: Uint8Array): Promise<void> {
  const fs = filesOf(what)
  const random = Math.floor(Math.random() * 2 ** 32).toString(36)
  const temporary = `${path}.${processId()}-${written++}-${random}.tmp`
  try {
    const file = await fs.open(temporary, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined)
    throw new BackendError(`${what}: cannot write ${show(path)}: ${reasonOf(error)}`, { cause: error })
  }
  await syncFolder(fs, path)
}

/** So that the new name survives a loss of power. Not all systems can; the file is whole either way. */
async function syncFolder(fs: Files, path: string): Promise<void> {
  const folder = path.replace(/[^/\\]*$/, '') || '.'
  try {
    const handle = await fs.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // Windows cannot open folders.
  }
}

/** The bytes of a file, at an address, or as given. */
export async function bytesOf(what: string, source: ModelSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source
  if (source instanceof ArrayBuffer) return new Uint8Array(source)
  const isUrl = typeof source === 'object' && source !== null && typeof source.href === 'string'
  if (!isUrl && (typeof source !== 'string' || source === '' || source.includes('\0')))
    throw new ValueError(`${what}: expected a path, a URL or bytes, got ${show(source)}`)
  const address = isUrl ? source.href : (source as string)
  try {
    if (isUrl && !address.startsWith('file:')) return await fetched(what, address)
    const fs = filesOf(what)
    const path = isUrl ? (pathOfUrl(address) ?? address) : address
    const info = await fs.stat(path)
    // A pipe or a device could go on for ever.
    if (!info.isFile()) throw new FormatError(`${what}: ${show(path)} is no file`)
    if (info.size > MOST_BYTES)
      throw new LimitError(`${what}: ${show(path)} has ${info.size} bytes, over the limit of ${MOST_BYTES}`)
    return await fs.readFile(path)
  } catch (error) {
    if (error instanceof AdjointError) throw error
    throw new FormatError(`${what}: cannot read ${show(address)}: ${reasonOf(error)}`, { cause: error })
  }
}

async function fetched(what: string, address: string): Promise<Uint8Array> {
  const get = download()
  if (get === undefined)
    throw new BackendError(`${what}: there is no network here to ask for ${show(address)}`)
  const answer = await get(address)
  if (!answer.ok) throw new FormatError(`${what}: ${show(address)} answered with status ${answer.status}`)
  const bytes = new Uint8Array(await answer.arrayBuffer())
  if (bytes.length > MOST_BYTES) throw new LimitError(`${what}: ${show(address)} is over ${MOST_BYTES} bytes`)
  return bytes
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : show(error)
}
