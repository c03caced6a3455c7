import { encodeUtf8 } from '../host.js'

// TensorBoard's event files: protocol buffers (tensorflow/core/util/event.proto, framework/summary.proto), each in a
// record with checksums (TFRecord, tensorflow/core/lib/io/record_writer.h). All numbers are little-endian.

/** The first record of a file: its version. */
export function versionRecord(seconds: number): Uint8Array {
  return record(join([double(1, seconds), bytes(3, encodeUtf8('brain.Event:2'))]))
}

/** One number of a curve. */
export interface ScalarEvent {
  readonly tag: string
  readonly value: number
  readonly step: number
  /** Since 1970. */
  readonly seconds: number
}

export function scalarRecord({ tag, value, step, seconds }: ScalarEvent): Uint8Array {
  const plugin = bytes(1, encodeUtf8('scalars'))
  const parts = [bytes(1, encodeUtf8(tag)), float(2, value), bytes(9, bytes(1, plugin))]
  const summary = bytes(1, join(parts))
  return record(join([double(1, seconds), integer(2, step), bytes(5, summary)]))
}

// ---- protocol buffers: a field is its number and the kind of its value, then the value

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5]

function integer(field: number, value: number): Uint8Array {
  return join([key(field, VARINT), varint(value)])
}

function double(field: number, value: number): Uint8Array {
  const data = new Uint8Array(8)
  new DataView(data.buffer).setFloat64(0, value, true)
  return join([key(field, FIXED64), data])
}

function float(field: number, value: number): Uint8Array {
  const data = new Uint8Array(4)
  new DataView(data.buffer).setFloat32(0, value, true)
  return join([key(field, FIXED32), data])
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return join([key(field, LENGTH), varint(value.length), value])
}

function key(field: number, kind: number): Uint8Array {
  return varint(field * 8 + kind)
}

/** Seven bits in each byte, the least significant first; the eighth says that there are more. */
function varint(value: number): Uint8Array {
  const out: number[] = []
  for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) + 128)
  out.push(value)
  return Uint8Array.from(out)
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

// ---- records: length, its checksum, the data, its checksum

function record(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + 16)
  const view = new DataView(out.buffer)
  view.setUint32(0, data.length, true)
  view.setUint32(8, masked(crc32c(out.subarray(0, 8))), true)
  out.set(data, 12)
  view.setUint32(12 + data.length, masked(crc32c(data)), true)
  return out
}

/** Rotated and moved, since checksums of data that holds checksums are weak. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Castagnoli's polynomial, its bits reversed (RFC 3720, B.4). */
const POLYNOMIAL = 0x82f63b78
const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let crc = i
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  return crc
})

export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
