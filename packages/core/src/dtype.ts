import { didYouMean, DTypeError, show, ValueError } from './errors.js'

/** dtypes that numbers can have. bool is stored as bytes of 0 and 1. */
export type NumericDType = 'float32' | 'float64' | 'int32' | 'uint8' | 'bool'
/** All dtypes; strings are data for lookup layers only: no op computes with them. */
export type DType = NumericDType | 'string'
export type FloatDType = 'float32' | 'float64'

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray

/** The arrays that numeric tensors are stored in on the host. */
export type NumericArray = Float32Array | Float64Array | Int32Array | Uint8Array
/** What a tensor holds on the host. */
export type HostArray = NumericArray | readonly string[]

export const DTYPES: readonly DType[] = ['float32', 'float64', 'int32', 'uint8', 'bool', 'string']

/** Bytes of one element; a string counts as one pointer. */
export const BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
  string: 8,
}

/** The four bytes of a float32 number as a whole number. */
export function float32Bits(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0]!
}

/** A zero-filled array for `size` numbers of `dtype`. */
export function allocate(dtype: DType, size: number): NumericArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(size)
    case 'float64':
      return new Float64Array(size)
    case 'int32':
      return new Int32Array(size)
    case 'uint8':
    case 'bool':
      return new Uint8Array(size)
    case 'string':
      throw new DTypeError('string tensors hold no numbers')
  }
}

/** The dtype whose storage a typed array is, or the nearest that holds its numbers exactly where one does. */
export function dtypeOfArray(array: TypedArray): NumericDType {
  if (array instanceof Float32Array) return 'float32'
  if (array instanceof Float64Array) return 'float64'
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return 'uint8'
  if (array instanceof Uint32Array) return 'float64'
  return 'int32'
}

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64'
}

/** From narrow to wide; of two dtypes the wider one is the result of an op on both. */
const WIDTH: Readonly<Record<NumericDType, number>> = { bool: 0, uint8: 1, int32: 2, float32: 3, float64: 4 }

/**
 * The dtype of an op on `a` and `b`: bool < uint8 < int32 < float32 < float64, the wider wins.
 * (As in JAX and Keras, int32 with float32 is float32.)
 */
export function promote(op: string, a: DType, b: DType): NumericDType {
  if (a === b && a !== 'string') return a
  if (a === 'string' || b === 'string') throw noStrings(op)
  return WIDTH[a] >= WIDTH[b] ? a : b
}

/** The float dtype an op like exp computes in: floats stay, whole numbers become the default float. */
export function toFloat(op: string, dtype: DType): FloatDType {
  if (dtype === 'string') throw noStrings(op)
  return isFloat(dtype) ? dtype : floatx()
}

export function noStrings(op: string): DTypeError {
  return new DTypeError(`${op}: strings cannot be computed with; look them up first (stringLookup)`, { op })
}

/** `dtype` if it is one, else an error that lists them. */
export function checkDType(op: string, dtype: unknown): DType {
  if (typeof dtype === 'string' && (DTYPES as readonly string[]).includes(dtype)) return dtype as DType
  throw new ValueError(
    `${op}: unknown dtype ${show(dtype)}; known are ${DTYPES.join(', ')}.${didYouMean(dtype, DTYPES)}`,
    { op },
  )
}

let defaultFloat: FloatDType = 'float32'

/** The float dtype that new tensors, weights and random numbers get: float32 unless set otherwise. */
export function floatx(): FloatDType {
  return defaultFloat
}

/**
 * Sets the float dtype of what is made from now on. float64 is for checks and research; twice the memory.
 * @throws ValueError for anything but 'float32' and 'float64'.
 */
export function setFloatx(dtype: FloatDType): void {
  if (dtype !== 'float32' && dtype !== 'float64')
    throw new ValueError(`setFloatx: expected float32 or float64, got ${show(dtype)}`)
  defaultFloat = dtype
}
