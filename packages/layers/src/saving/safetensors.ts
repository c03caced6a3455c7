import { FormatError, LimitError } from '@adjoint/core'
import { formatShape, show } from '@adjoint/core/extend'
import { decodeUtf8, encodeUtf8 } from '../host.js'
import { countOf, isJsonRecord, type Json, listOf, parseJson, recordOf, textOf } from './json.js'

/** A tensor as a file holds it: its bytes, little-endian. */
export interface Stored {
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}
export type StoredDType = 'F64' | 'F32' | 'I32' | 'U8' | 'BOOL'

export const STORED_BYTES: Readonly<Record<StoredDType, number>> = { F64: 8, F32: 4, I32: 4, U8: 1, BOOL: 1 }
const DTYPES: ReadonlySet<string> = new Set(Object.keys(STORED_BYTES))

const MOST_HEADER = 100_000_000
const MOST_TENSORS = 1_000_000
const MOST_RANK = 32
const METADATA = '__metadata__'

/**
 * Lays tensors out as a safetensors file: 8 bytes with the header's length, the header as JSON, the bytes of all
 * tensors without gaps, those of wide elements first so that each lies at a multiple of its element's size.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Stored>,
  metadata: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const order = [...tensors].toSorted(([, a], [, b]) => STORED_BYTES[b.dtype] - STORED_BYTES[a.dtype])
  const entries: string[] = []
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    entries.push(`${JSON.stringify(METADATA)}:{${pairs.join(',')}}`)
  }
  let end = 0
  for (const [name, { dtype, shape, bytes }] of order) {
    const offsets = [end, (end += bytes.length)]
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`)
  }
  const text = encodeUtf8(`{${entries.join(',')}}`)
  const headerLength = Math.ceil(text.length / 8) * 8
  if (headerLength > MOST_HEADER)
    throw new LimitError(`save: the header needs ${headerLength} bytes, over the limit of ${MOST_HEADER}`)
  const file = new Uint8Array(8 + headerLength + end)
  new DataView(file.buffer).setUint32(0, headerLength, true)
  file.fill(0x20, 8 + text.length, 8 + headerLength)
  file.set(text, 8)
  let at = 8 + headerLength
  for (const [, { bytes }] of order) {
    file.set(bytes, at)
    at += bytes.length
  }
  return file
}

/** What a file holds: its tensors' bytes are views of the file's. */
export interface Contents {
  readonly tensors: ReadonlyMap<string, Stored>
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * Reads a safetensors file. All of the header is checked before anything is made of it: tensors must cover the
 * data exactly, without gaps and overlaps.
 * @throws FormatError, naming the tensor; LimitError for a header beyond all measure.
 */
export function readSafetensors(what: string, file: Uint8Array): Contents {
  if (file.length < 8)
    throw new FormatError(`${what}: too short: ${file.length} bytes; a model file has at least 8`)
  const view = new DataView(file.buffer, file.byteOffset, 8)
  const high = view.getUint32(4, true)
  const headerLength = view.getUint32(0, true)
  if (high !== 0 || headerLength > file.length - 8)
    throw new FormatError(
      `${what}: the header length ${view.getBigUint64(0, true)} is beyond the file, which has ${file.length} bytes; this is no model file, or it is cut off`,
    )
  if (headerLength > MOST_HEADER)
    throw new LimitError(
      `${what}: the header length ${headerLength} is over the limit of ${MOST_HEADER} bytes`,
    )
  if (headerLength < 2) throw new FormatError(`${what}: too short: the header has ${headerLength} bytes`)
  const text = decodeUtf8(file.subarray(8, 8 + headerLength))
  if (text === undefined) throw new FormatError(`${what}: the header is not valid UTF-8`)
  if (text[0] !== '{')
    throw new FormatError(
      `${what}: the header is no JSON record: at character 0 "{" was expected, found ${show(text.slice(0, 12))}`,
    )
  const header = parseJson(`${what}: header`, text, 4)
  if (!isJsonRecord(header)) throw new FormatError(`${what}: the header is no record`)
  return contentsOf(what, header, file.subarray(8 + headerLength))
}

interface Entry {
  readonly name: string
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

function contentsOf(what: string, header: { readonly [key: string]: Json }, data: Uint8Array): Contents {
  const names = Object.keys(header)
  if (names.length > MOST_TENSORS)
    throw new LimitError(`${what}: ${names.length} tensors are over the limit of ${MOST_TENSORS}`)
  const metadata = new Map<string, string>()
  const entries: Entry[] = []
  for (const name of names)
    if (name === METADATA) {
      const record = header[name]
      if (!isJsonRecord(record)) throw new FormatError(`${what}: ${METADATA} is no record`)
      for (const key of Object.keys(record))
        metadata.set(key, textOf(`${what}: ${METADATA}: ${show(key)}`, record[key]))
    } else entries.push(entryOf(`${what}: tensor ${show(name)}`, name, header[name]))

  const tensors = new Map<string, Stored>()
  let reached = 0
  let last = ''
  for (const { name, dtype, shape, begin, end } of entries.toSorted(
    (a, b) => a.begin - b.begin || a.end - b.end,
  )) {
    const label = `${what}: tensor ${show(name)}`
    if (end > data.length)
      throw new FormatError(
        `${label}: ends at byte ${end} of the data (offset ${begin}), but only ${data.length} bytes are present; the file is cut off`,
      )
    if (begin < reached)
      throw new FormatError(
        `${label}: overlap with tensor ${show(last)}: it begins at byte ${begin}, the other ends at ${reached}`,
      )
    if (begin > reached)
      throw new FormatError(
        `${label}: there is a hole before it: bytes ${reached} to ${begin} belong to none`,
      )
    reached = end
    last = name
    tensors.set(name, { dtype, shape, bytes: data.subarray(begin, end) })
  }
  if (reached < data.length)
    throw new FormatError(`${what}: ${data.length - reached} trailing bytes after the last tensor`)
  return { tensors: new Map(entries.map(({ name }) => [name, tensors.get(name)!])), metadata }
}

function entryOf(what: string, name: string, value: Json | undefined): Entry {
  const record = recordOf(what, value, ['dtype', 'shape', 'data_offsets'])
  const dtype = record['dtype']
  if (typeof dtype !== 'string' || !DTYPES.has(dtype))
    throw new FormatError(
      `${what}: unknown dtype ${show(dtype)}; known are ${[...DTYPES].join(', ')}, little-endian`,
    )
  const sides = listOf(`${what}: shape`, record['shape'], MOST_RANK)
  const shape = sides.map((side, axis) => countOf(`${what}: shape, side ${axis}`, side))
  const size = shape.includes(0) ? 0 : shape.reduce((n, side) => n * side, 1)
  const bytes = size * STORED_BYTES[dtype as StoredDType]
  if (!Number.isSafeInteger(bytes))
    throw new FormatError(`${what}: shape ${formatShape(shape)} is beyond all measure`)
  const offsets = listOf(`${what}: data_offsets`, record['data_offsets'], 2)
  if (offsets.length !== 2)
    throw new FormatError(`${what}: data_offsets must be two offsets, got ${offsets.length}`)
  const begin = countOf(`${what}: offset of its begin`, offsets[0])
  const end = countOf(`${what}: offset of its end`, offsets[1])
  if (end < begin) throw new FormatError(`${what}: its end offset ${end} lies before its begin ${begin}`)
  if (end - begin !== bytes)
    throw new FormatError(
      `${what}: ${dtype} of ${formatShape(shape)} needs ${bytes} bytes, but its offsets give ${end - begin}`,
    )
  return { name, dtype: dtype as StoredDType, shape, begin, end }
}
