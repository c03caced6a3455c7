import { type DType, FormatError, type NumericDType, tensor, type Tensor } from '@adjoint/core'
import { allocate, show } from '@adjoint/core/extend'
import { STORED_BYTES, type Stored, type StoredDType } from './safetensors.js'

const STORED: ReadonlyMap<DType, StoredDType> = new Map([
  ['float32', 'F32'],
  ['float64', 'F64'],
  ['int32', 'I32'],
  ['uint8', 'U8'],
  ['bool', 'BOOL'],
])
const DTYPES: ReadonlyMap<StoredDType, NumericDType> = new Map(
  [...STORED].map(([dtype, stored]) => [stored, dtype as NumericDType]),
)

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/**
 * A tensor's bytes as they are at this moment, read at once where the backend can. What a variable holds is never
 * written over, so that reading later gives the same.
 */
export function snapshotOf(x: Tensor): () => Promise<Stored> {
  const value = x.detach()
  const stored = (values: ArrayBufferView): Stored => ({
    dtype: STORED.get(value.dtype)!,
    shape: value.shape,
    bytes: littleEndian(values, STORED_BYTES[STORED.get(value.dtype)!]),
  })
  if (value.backend.readSync === undefined) return async () => stored(await value.data())
  const now = stored(value.dataSync())
  return () => Promise.resolve(now)
}

/** A copy of the bytes in little-endian order. */
function littleEndian(values: ArrayBufferView, width: number): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice()
  if (!IS_LITTLE_ENDIAN && width > 1)
    for (let i = 0; i < bytes.length; i += width) bytes.subarray(i, i + width).reverse()
  return bytes
}

export function dtypeOf(stored: StoredDType): NumericDType {
  return DTYPES.get(stored)!
}

/** The numbers of a stored tensor. @throws FormatError for a bool that is neither 0 nor 1. */
export function valuesOf(what: string, { dtype, bytes }: Stored): ReturnType<typeof allocate> {
  const values = allocate(dtypeOf(dtype), bytes.length / STORED_BYTES[dtype])
  const copy = new Uint8Array(values.buffer)
  copy.set(bytes)
  if (dtype === 'BOOL') {
    const at = copy.findIndex((b) => b > 1)
    if (at >= 0) throw new FormatError(`${what}: a bool is 0 or 1, got ${show(copy[at])} at index ${at}`)
  }
  return IS_LITTLE_ENDIAN ? values : swapped(values, STORED_BYTES[dtype])
}

function swapped<V extends ArrayBufferView>(values: V, width: number): V {
  const bytes = new Uint8Array(values.buffer)
  for (let i = 0; i < bytes.length; i += width) bytes.subarray(i, i + width).reverse()
  return values
}

export function tensorOf(what: string, stored: Stored): Tensor {
  const values = valuesOf(what, stored)
  return tensor(values, { shape: stored.shape, dtype: dtypeOf(stored.dtype) })
}
