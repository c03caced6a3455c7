import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { encodeUtf8 } from '../host.js'
import { writeFile } from '../saving/files.js'

/** The text; with a path, a promise of it that is kept once it is written. */
export function deliver(what: string, text: string, path: string | undefined): string | Promise<string> {
  if (path === undefined) return text
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new ValueError(`${what}: toFile must be a path, got ${show(path)}`)
  return writeFile(what, path, encodeUtf8(text)).then(() => text)
}
