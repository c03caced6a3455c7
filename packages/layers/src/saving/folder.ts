import { BackendError, FormatError, ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { decodeUtf8, encodeUtf8, type Files } from '../host.js'
import { filesOf, type Folder, joined, reasonOf, syncFolder, uniqueText, writeNew } from './files.js'
import {
  countOf,
  isJsonRecord,
  type Json,
  type JsonRecord,
  listOf,
  parseJson,
  recordOf,
  textOf,
} from './json.js'
import { type Contents, readSafetensors, type Stored, writeSafetensors } from './safetensors.js'

// A model as a folder: model.json with the architecture, and the weights in safetensors files that it lists. Each
// save writes weights under new names; it is done when model.json, which tells these names, takes the place of the
// old one. So at every moment model.json stands for files that are there whole.

const MANIFEST = 'model.json'
/** Names of weights' files. There is no way out of the folder in them. */
const WEIGHTS = /^weights-[0-9a-z-]{1,60}\.safetensors$/
const LEFT_OVER = /^(?:weights-[0-9a-z-]{1,60}\.safetensors|model\.json\.[0-9a-z-]{1,60}\.tmp)$/
const MOST_MANIFEST = 100_000_000
const MOST_FILES = 10_000
const MOST_DEPTH = 410
/** Files that nobody lists are removed when they are an hour old: before, somebody may be about to list them. */
const OLD = 3_600_000

/** Which of several files of weights this is; so that those of two saves are never mixed. */
export const PART = 'part'

/** What is written into a folder. */
export interface FolderContents {
  /** All of model.json but the list of files. */
  readonly head: JsonRecord
  readonly tensors: ReadonlyMap<string, Stored>
  /** The metadata of the files of weights, the first of which has the rest too. */
  readonly metadata: ReadonlyMap<string, string>
  readonly firstMetadata: ReadonlyMap<string, string>
  /** The most bytes of tensors in one file, unless one tensor has more. */
  readonly mostBytes: number
}

/** @throws BackendError where it cannot be written; what was there before still is then. */
export async function writeFolder(what: string, path: string, contents: FolderContents): Promise<void> {
  const fs = filesOf(what)
  const made: string[] = []
  let isNew = false
  try {
    isNew = await makeFolder(fs, path)
    const before = await listedIn(what, fs, path)
    const names: string[] = []
    const listed: Json[] = []
    for (const [part, bytes] of filesFor(contents)) {
      const name = `${part}.safetensors`
      made.push(joined(path, name))
      await writeNew(fs, joined(path, name), bytes)
      names.push(name)
      listed.push({ file: name, bytes: bytes.length })
    }
    const manifest = joined(path, `${MANIFEST}.${uniqueText()}.tmp`)
    made.push(manifest)
    await writeNew(
      fs,
      manifest,
      encodeUtf8(`${JSON.stringify({ ...contents.head, weights: listed }, null, 1)}\n`),
    )
    await syncFolder(fs, path)
    await fs.rename(manifest, joined(path, MANIFEST))
    made.length = 0
    await syncFolder(fs, path)
    await cleanUp(fs, path, before, names)
  } catch (error) {
    for (const file of made) await fs.unlink(file).catch(() => undefined)
    if (isNew) await fs.rmdir(path).catch(() => undefined)
    if (error instanceof ValueError) throw error
    throw new BackendError(`${what}: cannot write ${show(path)}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Whether the folder was not there before. */
async function makeFolder(fs: Files, path: string): Promise<boolean> {
  const isThere = async (): Promise<boolean> =>
    (await fs.stat(path).catch(() => undefined))?.isDirectory() === true
  if (await isThere()) return false
  try {
    await fs.mkdir(path)
    return true
  } catch (error) {
    // Somebody else may have made it.
    if (await isThere()) return false
    throw error
  }
}

/** The files that the model.json of a folder lists. @throws ValueError for one that is none of ours. */
async function listedIn(what: string, fs: Files, path: string): Promise<readonly string[]> {
  const manifest = joined(path, MANIFEST)
  if ((await fs.lstat(manifest).catch(() => undefined)) === undefined) return []
  try {
    const bytes = await fs.readFile(manifest)
    const json = parseJson(MANIFEST, decodeUtf8(bytes) ?? '', MOST_DEPTH)
    if (isJsonRecord(json) && json['format'] === 'adjoint-model')
      return entriesIn(MANIFEST, json['weights']).map(({ file }) => file)
  } catch {
    // It is told below.
  }
  throw new ValueError(
    `${what}: ${show(manifest)} is there already and was not written by this library; save into another folder`,
  )
}

/** The bytes of each file of weights, by its name. */
function* filesFor(contents: FolderContents): Generator<readonly [part: string, bytes: Uint8Array]> {
  const { tensors, metadata, firstMetadata, mostBytes } = contents
  const groups = [new Map<string, Stored>()]
  let size = 0
  for (const [name, tensor] of tensors) {
    if (size > 0 && size + tensor.bytes.length > mostBytes) {
      groups.push(new Map())
      size = 0
    }
    groups.at(-1)!.set(name, tensor)
    size += tensor.bytes.length
  }
  const save = uniqueText()
  for (const [i, group] of groups.entries()) {
    const part = `weights-${save}${groups.length === 1 ? '' : `-${i + 1}-of-${groups.length}`}`
    yield [
      part,
      writeSafetensors(group, new Map([...metadata, [PART, part], ...(i === 0 ? firstMetadata : [])])),
    ]
  }
}

/** Removes what the last model.json listed, and what killed savers left. What cannot be removed stays. */
async function cleanUp(
  fs: Files,
  path: string,
  before: readonly string[],
  now: readonly string[],
): Promise<void> {
  for (const name of before)
    if (!now.includes(name)) await fs.unlink(joined(path, name)).catch(() => undefined)
  for (const name of await fs.readdir(path).catch(() => []))
    if (LEFT_OVER.test(name) && !now.includes(name)) {
      const info = await fs.lstat(joined(path, name)).catch(() => undefined)
      if (info?.isFile() === true && info.mtimeMs < Date.now() - OLD)
        await fs.unlink(joined(path, name)).catch(() => undefined)
    }
}

/** What a folder holds: model.json without the list of files, and what these hold together. */
export interface FolderParts {
  readonly head: JsonRecord
  readonly contents: Contents
}

/** @throws FormatError for what was not written by `writeFolder`, naming the file. */
export async function readFolder(what: string, folder: Folder): Promise<FolderParts> {
  for (let attempt = 0; ; attempt++) {
    const manifest = await folder.read(what, MANIFEST, MOST_MANIFEST)
    try {
      return await partsOf(what, folder, manifest)
    } catch (error) {
      // Somebody may have saved meanwhile.
      const now = attempt < 5 ? await folder.read(what, MANIFEST, MOST_MANIFEST) : manifest
      if (sameBytes(now, manifest)) throw error
    }
  }
}

async function partsOf(what: string, folder: Folder, manifest: Uint8Array): Promise<FolderParts> {
  const label = `${what}: ${MANIFEST}`
  const text = decodeUtf8(manifest)
  if (text === undefined) throw new FormatError(`${label}: is not valid UTF-8`)
  const json = parseJson(label, text, MOST_DEPTH)
  if (!isJsonRecord(json)) throw new FormatError(`${label}: holds no record`)
  const { weights, ...head } = json
  const tensors = new Map<string, Stored>()
  const metadata = new Map<string, string>()
  for (const { file, bytes } of entriesIn(label, weights)) {
    const held = await folder.read(what, file, bytes)
    const shard = `${what}: ${file}`
    if (held.length !== bytes)
      throw new FormatError(`${shard}: has ${held.length} bytes, but ${MANIFEST} tells of ${bytes}`)
    const contents = readSafetensors(shard, held)
    const part = contents.metadata.get(PART)
    if (`${part}.safetensors` !== file)
      throw new FormatError(`${shard}: was written as ${part === undefined ? 'another file' : show(part)}`)
    for (const [name, tensor] of contents.tensors) {
      if (tensors.has(name)) throw new FormatError(`${shard}: tensor ${show(name)} is in another file too`)
      tensors.set(name, tensor)
    }
    for (const [key, value] of contents.metadata) if (!metadata.has(key)) metadata.set(key, value)
  }
  return { head, contents: { tensors, metadata } }
}

interface Listed {
  readonly file: string
  readonly bytes: number
}

/** @throws FormatError for a name that could lead elsewhere, and for one that comes twice. */
function entriesIn(what: string, json: Json | undefined): Listed[] {
  const seen = new Set<string>()
  return listOf(`${what}: weights`, json, MOST_FILES).map((entry) => {
    const record = recordOf(`${what}: weights`, entry, ['file', 'bytes'])
    const file = textOf(`${what}: weights: file`, record['file'])
    if (!WEIGHTS.test(file))
      throw new FormatError(
        `${what}: weights: ${show(file)} is no name of a file of weights in the model's own folder, such as weights-1.safetensors`,
      )
    if (seen.has(file)) throw new FormatError(`${what}: weights: ${show(file)} is listed twice`)
    seen.add(file)
    return { file, bytes: countOf(`${what}: weights: bytes of ${show(file)}`, record['bytes'], 2 ** 32) }
  })
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
