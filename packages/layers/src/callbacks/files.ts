import { BackendError, ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { encodeUtf8, type Files, files } from '../host.js'

/** @throws ValueError for what is no path. */
export function checkPath(what: string, path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path
  throw new ValueError(`${what}: expected a path, got ${show(path)}`)
}

/** Makes the folder that a file is to be in. Addresses that are no paths have none. */
export async function makeFolderOf(what: string, path: string): Promise<void> {
  const folder = /^(.*)[/\\][^/\\]*$/.exec(path)?.[1]
  if (folder === undefined || folder === '' || path.includes('://')) return
  await reported(what, path, () => files()?.mkdir(folder, { recursive: true }))
}

/** A file that is written piece by piece. How far it is written is known, so that it can be taken back to there. */
export class Log {
  readonly #what: string
  readonly #path: string
  /** Undefined before anything is written. */
  #length: number | undefined

  constructor(what: string, path: string) {
    this.#what = what
    this.#path = path
  }

  get length(): number | undefined {
    return this.#length
  }

  /** Makes a file of this text, whatever was there. */
  async begin(text: string | Uint8Array = ''): Promise<void> {
    await makeFolderOf(this.#what, this.#path)
    await this.#run(async (fs) => {
      const file = await fs.open(this.#path, 'w')
      await file.close()
    })
    this.#length = 0
    await this.append(text)
  }

  /** Goes on behind what is there. @returns the text that is, undefined where there is no file. */
  async resume(): Promise<Uint8Array | undefined> {
    const bytes = await this.#run((fs) => fs.readFile(this.#path).catch(() => undefined))
    if (bytes !== undefined) this.#length = bytes.length
    return bytes
  }

  /** Goes back to the first `length` bytes. */
  async cut(length: number): Promise<void> {
    const bytes = await this.resume()
    if (bytes === undefined || bytes.length < length)
      throw new BackendError(
        `${this.#what}: ${show(this.#path)} has ${bytes?.length ?? 0} bytes; ${length} were written before`,
      )
    await this.#run((fs) => fs.truncate(this.#path, length))
    this.#length = length
  }

  async append(text: string | Uint8Array): Promise<void> {
    const bytes = typeof text === 'string' ? encodeUtf8(text) : text
    if (bytes.length === 0) return
    await this.#run((fs) => fs.appendFile(this.#path, bytes))
    this.#length = (this.#length ?? 0) + bytes.length
  }

  #run<R>(work: (fs: Files) => Promise<R>): Promise<R> {
    return reported(this.#what, this.#path, () => {
      const fs = files()
      if (fs === undefined) throw new BackendError(`${this.#what}: there are no files here`)
      return work(fs)
    }) as Promise<R>
  }
}

async function reported<R>(
  what: string,
  path: string,
  work: () => Promise<R> | undefined,
): Promise<R | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BackendError) throw error
    const reason = error instanceof Error ? error.message : show(error)
    throw new BackendError(`${what}: cannot write ${show(path)}: ${reason}`, { cause: error })
  }
}
