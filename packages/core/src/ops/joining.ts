import { promote } from '../dtype.js'
import { ShapeError, show, ValueError } from '../errors.js'
import {
  call,
  checkNumber,
  checkOption,
  composite,
  defineOp,
  type Like,
  type Operand,
  type Result,
  type Row,
  sidesOf,
} from '../op.js'
import { checkOptions } from '../options.js'
import { checkAxis, checkSize, formatShape, holdsFor, isList } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { broadcastTo, expandDims, reshape } from './movement.js'
import { gather } from './indexing.js'
import { padWith, part, type Paddings } from './slicing.js'

const concatRow: Row<'xs', { readonly axis: number }> = defineOp<'xs', { readonly axis: number }>({
  name: 'concat',
  args: ['xs'],
  variadic: true,
  infer(xs, { axis }) {
    const first = xs[0]!.shape
    const along = checkAxis('concat', axis, first.length)
    let total = 0
    let dtype = xs[0]!.dtype
    xs.forEach(({ shape, dtype: next }, i) => {
      const differs =
        shape.length !== first.length ? 0 : shape.findIndex((side, a) => a !== along && side !== first[a])
      if (shape.length !== first.length || differs >= 0)
        throw new ShapeError(
          `concat: input ${i} is ${formatShape(shape)}, input 0 is ${formatShape(first)}: ` +
            (shape.length !== first.length
              ? 'their ranks differ'
              : `they differ on axis ${differs}, and only axis ${along} may differ`),
          { op: 'concat', shapes: [first, shape] },
        )
      total += shape[along]!
      dtype = dtype === next ? dtype : promote('concat', dtype, next)
    })
    const shape = first.with(along, total)
    return { shape, dtype }
  },
  kernel: ({ axis }, [first]) => ({ kind: 'concat', axis: checkAxis('concat', axis, first!.shape.length) }),
  vjp: {
    xs({ g, inputs, attrs }, at) {
      const own = inputs[at]!.shape
      const axis = checkAxis('concat', attrs.axis, own.length)
      return part(g, axis, startsOf(inputs, axis)[at]!, own[axis]!)
    },
  },
})

/** By the inputs of one call of concat. */
const knownStarts = new WeakMap<readonly Tensor[], readonly number[]>()

/** Where each input begins along `axis`: worked out once for the gradients of all of them. */
function startsOf(inputs: readonly Tensor[], axis: number): readonly number[] {
  let starts = knownStarts.get(inputs)
  if (starts === undefined) {
    let next = 0
    starts = inputs.map(({ shape }) => (next += shape[axis]!) - shape[axis]!)
    knownStarts.set(inputs, starts)
  }
  return starts
}

/** Tensors one after another along `axis`; their other sides must agree. */
export function concat<X extends Operand>(xs: readonly X[], axis: number = 0): Result<X> {
  checkList('concat', xs)
  return call(concatRow, xs, { axis }) as Result<X>
}

/** Tensors of one shape as slices along a new `axis` (of the result). */
export function stack<X extends Operand>(xs: readonly X[], axis: number = 0): Result<X> {
  checkList('stack', xs)
  checkAlike(xs)
  checkAxis('stack', axis, sidesOf(xs[0]!).length + 1)
  const expanded = Array.from(xs, (x) => expandDims(x, axis) as Operand)
  return concat(expanded, axis) as Result<X>
}

/** @throws ShapeError unless all have one shape, as far as their sides are known. */
function checkAlike(xs: readonly Operand[]): void {
  const first = sidesOf(xs[0]!)
  for (let i = 1; i < xs.length; i++) {
    // What is no operand is told so next, and a list may claim any number of holes.
    if (xs[i] === undefined) return
    const own = sidesOf(xs[i]!)
    const isAlike =
      own.length === first.length &&
      own.every((side, a) => side === null || first[a] === null || side === first[a])
    if (!isAlike)
      throw new ShapeError(
        `stack: input ${i} is ${formatShape(own)}, input 0 is ${formatShape(first)}: all must have one shape`,
        { op: 'stack', shapes: [first, own] },
      )
  }
}

function checkList(op: string, xs: unknown): void {
  if (!isList(xs)) throw new ValueError(`${op}: expected a list of tensors, got ${show(xs)}`, { op })
  if (xs.length === 0)
    throw op === 'stack' ? new ValueError(noTensors(op), { op }) : new ShapeError(noTensors(op), { op })
}

function noTensors(op: string): string {
  return `${op}: needs at least one tensor, got none`
}

/** What {@link pad} puts around x: a value, x mirrored without or with its border, or the border itself. */
export type PadMode = 'constant' | 'reflect' | 'symmetric' | 'edge'

const PAD_MODES: readonly PadMode[] = ['constant', 'reflect', 'symmetric', 'edge']

/** Options of {@link pad}. */
export interface PadOptions {
  readonly paddings: Paddings
  /** Default 'constant'. */
  readonly mode?: PadMode
  /** What 'constant' pads with (default 0). */
  readonly value?: number
}

const padByModeRow: Row<'x', { readonly paddings: Paddings; readonly mode: PadMode }> = composite({
  name: 'pad',
  args: ['x'],
  compose([x], { paddings, mode }) {
    // Checks the paddings, too.
    const { shape } = padWith(x!.alias(), paddings, 0)
    let out = x!
    paddings.forEach(([before, after], axis) => {
      const side = x!.shape[axis]!
      const most = mode === 'reflect' ? side - 1 : mode === 'edge' ? (side > 0 ? Infinity : 0) : side
      if (before > most || after > most)
        throw new ValueError(
          `pad: ${show([before, after])} on axis ${axis} of ${formatShape(x!.shape)} is too much for '${mode}', ` +
            `which has at most ${most} there`,
          { op: 'pad' },
        )
      if (before + after > 0) out = gather(out, sources(mode, side, before, shape[axis]!), axis)
    })
    return out
  },
})

/** For each position of a padded axis, which element of the axis is there. */
function sources(mode: PadMode, side: number, before: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const at = i - before
    if (mode === 'edge') return Math.min(Math.max(at, 0), side - 1)
    const border = mode === 'symmetric' ? 1 : 0
    if (at < 0) return -at - border
    return at < side ? at : 2 * (side - 1) - at + border
  })
}

/**
 * x with elements added around it, `paddings` before and after each axis. 'reflect' mirrors at the border elements,
 * 'symmetric' beside them, 'edge' repeats them.
 * @throws ValueError for negative paddings, and for more than x has to mirror.
 * @example pad(tensor([1, 2, 3]), { paddings: [[2, 1]], mode: 'reflect' }) // [3, 2, 1, 2, 3, 2]
 */
export function pad<X extends Operand>(x: X, options: PadOptions): Result<X> {
  const {
    paddings,
    mode = 'constant',
    value = 0,
  } = checkOptions('pad', options, ['paddings', 'mode', 'value'])
  checkOption('pad', 'mode', mode, PAD_MODES)
  if (mode === 'constant') return padWith(x, paddings, checkNumber('pad', 'value', value))
  return call(padByModeRow, [x], { paddings, mode }) as Result<X>
}

const isWhole = (n: unknown): boolean => Number.isInteger(n) && Number(n) >= 0

const tileRow: Row<'x', { readonly reps: readonly number[] }> = composite({
  name: 'tile',
  args: ['x'],
  compose([x], { reps }) {
    const { shape } = x!
    if (!isList(reps) || reps.length !== shape.length || !holdsFor(reps, isWhole))
      throw new ValueError(
        `tile: reps ${show(reps)} must be whole numbers >= 0, one for each axis of ${formatShape(shape)}`,
        { op: 'tile' },
      )
    const out = shape.map((side, axis) => side * reps[axis]!)
    checkSize('tile', out, x!.dtype)
    // A new axis in front of each, repeated along it.
    const spread = reshape(
      x!,
      shape.flatMap((side) => [1, side]),
    )
    return reshape(
      broadcastTo(
        spread,
        shape.flatMap((side, axis) => [reps[axis]!, side]),
      ),
      out,
    )
  },
})

/** x repeated as a whole, reps[i] times along axis i. @throws ValueError unless there are as many reps as axes. */
export function tile<X extends Operand>(x: X, reps: readonly number[]): Result<X> {
  return call(tileRow, [x], { reps }) as Result<X>
}

const repeatRow: Row<'x', { readonly repeats: number; readonly axis: number | null }> = composite({
  name: 'repeat',
  args: ['x'],
  compose([x], { repeats, axis }) {
    if (!Number.isInteger(repeats) || repeats < 0)
      throw new ValueError(`repeat: repeats must be a whole number >= 0, got ${show(repeats)}`, {
        op: 'repeat',
      })
    const flat = axis === null ? reshape(x!, [x!.size]) : x!
    const along = axis === null ? 0 : checkAxis('repeat', axis, flat.rank)
    const spread = expandDims(flat, along + 1)
    const out = flat.shape.with(along, flat.shape[along]! * repeats)
    checkSize('repeat', out, x!.dtype)
    return reshape(broadcastTo(spread, spread.shape.with(along + 1, repeats)), out)
  },
})

/** Each slice along `axis` `repeats` times in a row; without an axis each element of x, flattened. */
export function repeat<X extends Operand>(x: X, repeats: number, axis: number | null = null): Result<X> {
  return call(repeatRow, [x], { repeats, axis }) as Result<X>
}

interface RollAttrs {
  readonly shift: number | readonly number[]
  readonly axis: number | readonly number[] | null
}

const rollRow: Row<'x', RollAttrs> = composite({
  name: 'roll',
  args: ['x'],
  compose([x], { shift, axis }) {
    const shifts = typeof shift === 'number' ? [shift] : shift
    const axes = axis === null ? [0] : typeof axis === 'number' ? [axis] : axis
    if (
      !isList(shifts) ||
      !isList(axes) ||
      shifts.length !== axes.length ||
      !holdsFor(shifts, Number.isInteger)
    )
      throw new ValueError(
        `roll: shift ${show(shift)} must be as many whole numbers as there are axes in ${show(axis)}`,
        { op: 'roll' },
      )
    let out = axis === null ? reshape(x!, [x!.size]) : x!
    axes.forEach((a, i) => {
      const along = checkAxis('roll', a, out.rank)
      const side = out.shape[along]!
      const by = side === 0 ? 0 : ((shifts[i]! % side) + side) % side
      if (by > 0) out = concat([part(out, along, side - by, by), part(out, along, 0, side - by)], along)
    })
    return axis === null ? reshape(out, x!.shape) : out
  },
})

/** x moved by `shift` along `axis`; what leaves at the end comes in at the start. Without an axis x is rolled flat. */
export function roll<X extends Operand>(
  x: X,
  shift: number | readonly number[],
  axis: number | readonly number[] | null = null,
): Like<X> {
  return call(rollRow, [x], { shift, axis }) as Like<X>
}
