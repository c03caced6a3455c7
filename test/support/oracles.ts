/** Reading of the reference values under test/oracles (or where ADJOINT_ORACLES says), and how they are compared. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = process.env.ADJOINT_ORACLES ?? fileURLToPath(new URL('../oracles', import.meta.url))

/** A number as the files write it: JSON has no NaN and no infinities. */
export type WrittenNumber = number | 'NaN' | 'Infinity' | '-Infinity'

/** One of the JSON files, by its path below the folder of the oracles. */
export function readOracle<T>(path: string): T {
  return JSON.parse(readFileSync(join(folder, path), 'utf8')) as T
}

export function numbers(written: readonly WrittenNumber[]): number[] {
  return written.map((value) => {
    if (typeof value !== 'number' && !['NaN', 'Infinity', '-Infinity'].includes(value))
      throw new Error(`${String(value)} is no number`)
    return Number(value)
  })
}

export interface WrittenTensor {
  readonly name: string
  readonly dtype: 'float' | 'int32' | 'bool'
  readonly shape: readonly number[]
  readonly data: readonly WrittenNumber[]
}

/** An input: a tensor of its own, or another input once more. */
export type WrittenInput = WrittenTensor | { readonly name: string; readonly sameAs: number }

export interface VectorCase {
  readonly id: string
  readonly op: string
  readonly attrs: object
  readonly inputs: readonly WrittenInput[]
  readonly outputs: readonly WrittenTensor[]
  readonly cotangents: readonly (WrittenTensor | null)[]
  readonly grads: readonly (WrittenTensor | null)[]
  readonly gradsAlt?: readonly {
    readonly name: string
    readonly grads: readonly (WrittenTensor | null)[]
  }[]
  readonly hvp?: { readonly tangents: readonly WrittenTensor[]; readonly result: readonly WrittenTensor[] }
  readonly f32?: {
    readonly outputs: readonly (readonly WrittenNumber[] | null)[]
    readonly grads: readonly (readonly WrittenNumber[] | null)[]
    readonly maxAbsErrOut: number
    readonly maxAbsErrGrad: number | null
  }
  readonly tol32?: { readonly [what in Checked]?: Tolerance }
  readonly checks: readonly Checked[]
  readonly tags?: readonly string[]
}

export type Checked = 'output' | 'grads' | 'hvp'

export interface ProgramStep {
  readonly op: string
  readonly in: readonly string[]
  readonly attrs?: object
  readonly out: string
}

/** All op cases and programs. */
export function readVectors(): VectorCase[] {
  return readdirSync(join(folder, 'vectors'))
    .filter((file) => file.endsWith('.json') && !['ulp-tables.json', 'higher-order.json'].includes(file))
    .toSorted()
    .flatMap((file) => readOracle<{ cases: VectorCase[] }>(`vectors/${file}`).cases)
}

/** A function at some points: its values rounded to float64 and to float32, and its derivatives. */
export interface UlpTable {
  readonly op: string
  readonly attrs: object
  readonly x: readonly number[]
  readonly y64: readonly number[]
  readonly y32: readonly number[]
  readonly d64: readonly number[]
}

export function readUlpTables(): UlpTable[] {
  return readOracle<{ functions: UlpTable[] }>('vectors/ulp-tables.json').functions
}

/** A difference d is tolerated if |d| <= absolute * max(1, largest reference) + relative * |reference|. */
export type Tolerance = readonly [absolute: number, relative: number]

export const TOLERANCES: { readonly [P in 'float64' | 'float32']: { readonly [W in Checked]: Tolerance } } = {
  float64: { output: [1e-12, 1e-11], grads: [1e-11, 1e-10], hvp: [1e-10, 1e-9] },
  float32: { output: [4e-6, 2e-5], grads: [1e-5, 1e-4], hvp: [1e-4, 1e-3] },
}

/**
 * The first place where `got` is not `wanted`, in words; undefined where there is none. What is not finite must be
 * met exactly, and so must -0 where `signedZero` asks for it.
 */
export function mismatch(
  got: ArrayLike<number>,
  wanted: readonly WrittenNumber[],
  [absolute, relative]: Tolerance,
  { slack = 0, signedZero = false } = {},
): string | undefined {
  const reference = numbers(wanted)
  if (got.length !== reference.length) return `${got.length} values, want ${reference.length}`
  let scale = 1
  for (const value of reference) if (Number.isFinite(value)) scale = Math.max(scale, Math.abs(value))
  for (let i = 0; i < reference.length; i++) {
    const want = reference[i]!
    const value = got[i]!
    const isExact = !Number.isFinite(want) || (signedZero && Object.is(want, -0))
    const isClose = isExact
      ? Object.is(value, want)
      : value === want || Math.abs(value - want) <= absolute * scale + relative * Math.abs(want) + slack
    if (!isClose) return `[${i}] is ${signed(value)}, want ${signed(want)}`
  }
  return undefined
}

function signed(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

const bits = new DataView(new ArrayBuffer(8))

/** How many float64 numbers lie between a and b, plus one where they differ. */
export function ulps64(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
  const distance = Number(ordinal64(a) - ordinal64(b))
  return Math.abs(distance)
}

/** The same among float32 numbers. */
export function ulps32(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
  return Math.abs(ordinal32(a) - ordinal32(b))
}

/** Floats in order as whole numbers in order. */
function ordinal64(x: number): bigint {
  bits.setFloat64(0, x)
  const i = bits.getBigInt64(0)
  return i < 0n ? -(i & 0x7fffffffffffffffn) : i
}

function ordinal32(x: number): number {
  bits.setFloat32(0, x)
  const i = bits.getInt32(0)
  return i < 0 ? -(i & 0x7fffffff) : i
}
