import { fromHost } from '@adjoint/core/extend'
import type { Shape, Tensor } from '@adjoint/core'
import { camelCase, type Spelling } from '../names.js'
import { checkChoice } from '../option-checks.js'
import type { EncodeLast, ReplaceLast } from '../types.js'

/** How a layer that finds ids gives them: as they are, or as vectors. */
export type IdsOutputMode = 'int' | 'one_hot' | 'multi_hot' | 'count' | 'tf_idf'

/** The mode in Keras' spelling. @throws ValueError for another one, with the nearest. */
export function checkMode<M extends IdsOutputMode>(what: string, mode: unknown, modes: readonly M[]): M {
  const spelled = modes.find((m) => camelCase(m) === mode) ?? mode
  return checkChoice(what, 'outputMode', spelled, modes)
}

/** The shape of ids in a mode, symbolic or not: `size` is how many ids there are. */
export function encodedShape(shape: Shape, mode: IdsOutputMode, size: number | null): Shape {
  if (mode === 'int') return shape
  // A batch of single ids is [batch] or [batch, 1]; in one_hot mode further sides stay.
  const isWhole = shape.length === 1 || (mode === 'one_hot' && shape.at(-1) !== 1)
  return [...(isWhole ? shape : shape.slice(0, -1)), size]
}

/**
 * Ids as vectors of `size`: a vector for each id (one_hot), or for each row of the last axis what occurs in it
 * (multi_hot), how often (count), or that times `weights` (tf_idf). Ids of -1 are left out.
 */
export function encoded(
  ids: Int32Array,
  shape: readonly number[],
  mode: IdsOutputMode,
  size: number,
  dtype: 'float32' | 'float64',
  weights?: readonly number[],
): Tensor {
  const out = encodedShape(shape, mode, size) as readonly number[]
  const rowSize = mode === 'one_hot' || shape.length === 1 ? 1 : shape.at(-1)!
  const length = out.reduce((n, side) => n * side, 1)
  const values = dtype === 'float64' ? new Float64Array(length) : new Float32Array(length)
  const isSum = mode === 'count' || mode === 'tf_idf'
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    if (id < 0) continue
    const at = Math.floor(i / rowSize) * size + id
    values[at] = isSum ? values[at]! + 1 : 1
  }
  if (weights !== undefined && mode === 'tf_idf')
    for (let i = 0; i < values.length; i++) values[i]! *= weights[i % size] ?? 0
  return fromHost(values, out, dtype)
}

type OneHot = Spelling<'one_hot'>
/** The type of {@link encodedShape}, for `K` ids. */
export type EncodedShape<S extends Shape, M extends string, K extends number> = [M] extends ['int']
  ? S
  : S extends readonly []
    ? readonly [K]
    : [M] extends [OneHot]
      ? EncodeLast<S, K>
      : ReplaceLast<S, K>

/** The dtype of ids in a mode. */
export type EncodedDType<M extends string> = [M] extends ['int'] ? 'int32' : 'float32'
