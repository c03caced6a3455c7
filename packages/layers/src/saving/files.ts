import { AdjointError, BackendError, FormatError, LimitError, ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { download, type Files, files, pathOfUrl, processId } from '../host.js'
import { storageName, store, stored } from './storage.js'

/** Where a model comes from: a path, an address, or the bytes themselves. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer
/** The standard address object, of which only the text is used. */
interface URL {
  readonly href: string
}

/** The most that is read from anywhere. */
const MOST_BYTES = 2 ** 32

let written = 0

export function filesOf(what: string): Files {
  const found = files()
  if (found === undefined)
    throw new BackendError(
      `${what}: there are no files here; use model.toBytes() and loadModel(bytes), and keep the bytes where you can`,
    )
  return found
}

/** A text that no other saver makes: for names of files that must differ. */
export function uniqueText(): string {
  const random = Math.floor(Math.random() * 2 ** 32).toString(36)
  return `${processId()}-${written++}-${random}`
}

/**
 * Writes a file whole or not at all: into a temporary file in the same folder, which then takes the place of the old
 * one. Of writers at the same time the last one wins.
 */
export async function writeFile(what: string, path: string, bytes: Uint8Array): Promise<void> {
  const name = storageName(what, path)
  if (name !== undefined) return store(what, name, bytes)
  const fs = filesOf(what)
  const temporary = `${path}.${uniqueText()}.tmp`
  try {
    await writeNew(fs, temporary, bytes)
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined)
    throw new BackendError(`${what}: cannot write ${show(path)}: ${reasonOf(error)}`, { cause: error })
  }
  await syncFolder(fs, path.replace(/[^/\\]*$/, '') || '.')
}

/** Writes a file that is not there yet, down to the disk. */
export async function writeNew(fs: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** So that the new name survives a loss of power. Not all systems can; the file is whole either way. */
export async function syncFolder(fs: Files, folder: string): Promise<void> {
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

/** Where a folder is: files of its own by their names. */
export interface Folder {
  /** How messages call it. */
  readonly label: string
  /**
   * The bytes of one of its files.
   * @throws LimitError for more than `most`; FormatError where there is no such file.
   */
  read(what: string, name: string, most: number): Promise<Uint8Array>
}

/** The bytes of a file, of what an address answers or the browser stored, or as given; or a folder. */
export async function openSource(what: string, source: ModelSource): Promise<Uint8Array | Folder> {
  if (source instanceof Uint8Array) return source
  if (source instanceof ArrayBuffer) return new Uint8Array(source)
  const isUrl = typeof source === 'object' && source !== null && typeof source.href === 'string'
  if (!isUrl && (typeof source !== 'string' || source === '' || source.includes('\0')))
    throw new ValueError(`${what}: expected a path, a URL or bytes, got ${show(source)}`)
  const address = isUrl ? source.href : (source as string)
  const name = storageName(what, address)
  if (name !== undefined) return stored(what, name)
  return toldAsFormat(`${what}: cannot read ${show(address)}`, async () => {
    if (isUrl && !address.startsWith('file:'))
      return address.endsWith('/') ? webFolder(address) : fetched(what, address, MOST_BYTES)
    const fs = filesOf(what)
    const path = isUrl ? (pathOfUrl(address) ?? address) : address
    const info = await fs.stat(path)
    if (info.isDirectory()) return folderAt(fs, path)
    // A pipe or a device could go on for ever.
    if (!info.isFile()) throw new FormatError(`${what}: ${show(path)} is no file`)
    if (info.size > MOST_BYTES)
      throw new LimitError(`${what}: ${show(path)} has ${info.size} bytes, over the limit of ${MOST_BYTES}`)
    return fs.readFile(path)
  })
}

/** As {@link openSource}, for what can only be a file. */
export async function bytesOf(what: string, source: ModelSource): Promise<Uint8Array> {
  const opened = await openSource(what, source)
  if (!(opened instanceof Uint8Array))
    throw new FormatError(`${what}: ${show(opened.label)} is a folder, not a file`)
  return opened
}

async function toldAsFormat<R>(what: string, f: () => Promise<R>): Promise<R> {
  try {
    return await f()
  } catch (error) {
    if (error instanceof AdjointError) throw error
    throw new FormatError(`${what}: ${reasonOf(error)}`, { cause: error })
  }
}

/** A folder of this machine. What it holds must be its own: no links, no pipes, no devices. */
function folderAt(fs: Files, path: string): Folder {
  return {
    label: path,
    read: (what, name, most) =>
      toldAsFormat(`${what}: cannot read ${show(name)} in ${show(path)}`, async () => {
        const full = joined(path, name)
        const info = await fs.lstat(full)
        if (!info.isFile() || info.nlink > 1)
          throw new FormatError(
            `${what}: ${show(name)} in ${show(path)} is ${info.isFile() ? 'a link to a file elsewhere' : 'no file'}`,
          )
        checkSize(what, name, info.size, most)
        const file = await fs.open(full, 'r')
        try {
          const now = await file.stat()
          if (now.ino !== info.ino || now.dev !== info.dev || !now.isFile())
            throw new FormatError(`${what}: ${show(name)} in ${show(path)} changed while it was read`)
          checkSize(what, name, now.size, most)
          return await file.readFile()
        } finally {
          await file.close()
        }
      }),
  }
}

function webFolder(address: string): Folder {
  return {
    label: address,
    read: (what, name, most) =>
      toldAsFormat(`${what}: cannot read ${show(name)} at ${show(address)}`, () =>
        fetched(what, address + name, most),
      ),
  }
}

export function joined(folder: string, name: string): string {
  return /[/\\]$/.test(folder) ? folder + name : `${folder}/${name}`
}

function checkSize(what: string, name: string, size: number, most: number): void {
  if (size > most) throw new LimitError(`${what}: ${show(name)} has ${size} bytes, over the limit of ${most}`)
}

async function fetched(what: string, address: string, most: number): Promise<Uint8Array> {
  const get = download()
  if (get === undefined)
    throw new BackendError(`${what}: there is no network here to ask for ${show(address)}`)
  const answer = await get(address)
  if (!answer.ok) throw new FormatError(`${what}: ${show(address)} answered with status ${answer.status}`)
  const reader = answer.body?.getReader()
  if (reader === undefined) {
    const bytes = new Uint8Array(await answer.arrayBuffer())
    checkSize(what, address, bytes.length, most)
    return bytes
  }
  // Piece by piece: an answer may have no end.
  const pieces: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done || value === undefined) break
    size += value.length
    if (size > most) {
      await reader.cancel()
      checkSize(what, address, size, most)
    }
    pieces.push(value)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : show(error)
}
