import {
  AdjointError,
  DataError,
  type Nested,
  type NumericDType,
  ShapeError,
  type Tensor,
  tensor,
  type TypedArray,
} from '@adjoint/core'
import { allocate, checkDType, formatShape, fromHost, show, sizeOf } from '@adjoint/core/extend'
import { checkChoice, checkKeys, checkNumber, COUNT, type Range } from '../option-checks.js'

/** Options of {@link padSequences}. */
export interface PadSequencesOptions<D extends NumericDType = NumericDType> {
  /** How long all become (default: as the longest). */
  readonly maxlen?: number
  /** Default 'int32'. */
  readonly dtype?: D
  /** Whether short sequences are filled up in front (default) or behind. */
  readonly padding?: 'pre' | 'post'
  /** Whether long sequences lose what is in front (default) or behind. */
  readonly truncating?: 'pre' | 'post'
  /** What they are filled up with (default 0). */
  readonly value?: number
}

const SIDES = ['pre', 'post'] as const
const NUMBER: Range = { holds: (x) => typeof x === 'number', words: 'a number' }

/**
 * Sequences of different lengths as one tensor [sequences, maxlen, ...], as Keras' `pad_sequences` makes it. Their
 * steps are numbers, or lists of numbers of one shape.
 * @throws DataError for what is no list of sequences, ShapeError for steps of different shapes; errors name the
 * sequence.
 * @example padSequences([[1], [2, 3]]) // [[0, 1], [2, 3]]
 */
export function padSequences<D extends NumericDType = 'int32'>(
  sequences: readonly (TypedArray | Nested<number>)[],
  options: PadSequencesOptions<D> = {},
): Tensor<D> {
  const op = 'padSequences'
  checkKeys(op, options, ['maxlen', 'dtype', 'padding', 'truncating', 'value'])
  const dtype = checkDType(op, options.dtype ?? 'int32') as D
  const padding = checkChoice(op, 'padding', options.padding ?? 'pre', SIDES)
  const truncating = checkChoice(op, 'truncating', options.truncating ?? 'pre', SIDES)
  const value = checkNumber(op, 'value', options.value ?? 0, NUMBER)
  if (!Array.isArray(sequences))
    throw new DataError(`${op}: expected a list of sequences, got ${show(sequences)}`)
  const list: readonly (TypedArray | Nested<number>)[] = sequences
  const read = list.map((sequence, i) => readSequence(`${op}: sequence ${i}`, sequence, dtype))
  const longest = read.reduce((most, { shape }) => Math.max(most, shape[0]!), 0)
  const length = options.maxlen === undefined ? longest : checkNumber(op, 'maxlen', options.maxlen, COUNT)
  const first = read.find(({ shape }) => shape[0]! > 0)
  const step = first === undefined ? [] : first.shape.slice(1)
  const size = sizeOf(step)
  const fill = tensor([value], { dtype }).dataSync()[0]!
  const out = allocate(dtype, read.length * length * size).fill(fill)
  for (const [i, { shape, values }] of read.entries()) {
    const steps = shape[0]!
    if (steps === 0) continue
    if (formatShape(shape.slice(1)) !== formatShape(step))
      throw new ShapeError(
        `${op}: the steps of sequence ${i} have the shape ${formatShape(shape.slice(1))}, others ${formatShape(step)}`,
      )
    const kept = Math.min(steps, length)
    const from = truncating === 'pre' ? steps - kept : 0
    const to = i * length + (padding === 'pre' ? length - kept : 0)
    out.set(values.subarray(from * size, (from + kept) * size), to * size)
  }
  return fromHost(out, [read.length, length, ...step], dtype) as Tensor<D>
}

/** The numbers of one sequence; what `tensor` says against them is said of the sequence. */
function readSequence(
  what: string,
  sequence: TypedArray | Nested<number>,
  dtype: NumericDType,
): { readonly shape: readonly number[]; readonly values: Int32Array } {
  if (!Array.isArray(sequence) && !ArrayBuffer.isView(sequence))
    throw new DataError(`${what}: expected a list, got ${show(sequence)}`)
  try {
    const x = tensor(sequence, { dtype })
    return { shape: x.shape, values: x.dataSync() as Int32Array }
  } catch (error) {
    if (error instanceof AdjointError) error.message = error.message.replace(/^tensor/, what)
    throw error
  }
}
