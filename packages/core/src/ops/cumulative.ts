import type { DType } from '../dtype.js'
import { call, checkNumeric, composite, defineOp, type Like, type Operand, type Row } from '../op.js'
import { checkOptions } from '../options.js'
import { checkAxis } from '../shape.js'
import { type Tensor, zerosLike } from '../tensor.js'
import { isRecord } from '../tree.js'
import { mul } from './arithmetic.js'
import { padWith, part } from './slicing.js'

/** Options of {@link cumsum} and {@link cumprod}. */
export interface CumulativeOptions {
  /** Default 0. */
  readonly axis?: number
  /** Whether each value is left out of its own sum or product. */
  readonly exclusive?: boolean
  /** Whether to go from the end. */
  readonly reverse?: boolean
}

interface CumulativeAttrs {
  readonly axis: number
  readonly reverse: boolean
}

const cumsumRow: Row<'x', CumulativeAttrs> = defineOp({
  name: 'cumsum',
  args: ['x'],
  infer([x], { axis }) {
    checkNumeric('cumsum', x!)
    checkAxis('cumsum', axis, x!.shape.length)
    return { shape: x!.shape, dtype: wide(x!.dtype) }
  },
  kernel: ({ axis, reverse }, [x]) => ({
    kind: 'cumulate',
    axis: checkAxis('cumsum', axis, x!.shape.length),
    reverse,
    initial: 0,
  }),
  vjp: { x: ({ g, attrs: { axis, reverse } }) => call(cumsumRow, [g], { axis, reverse: !reverse }) },
})

/** Whole numbers are added and multiplied as int32, also bool. */
function wide(dtype: DType): DType {
  return dtype === 'bool' || dtype === 'uint8' ? 'int32' : dtype
}

interface RecurrenceAttrs extends CumulativeAttrs {
  readonly initial: number
}

/** out[i] = decay[i] out[i - 1] + x[i], with out[-1] = initial. Its gradient is one of the same kind, run backwards. */
const recurrenceRow: Row<'x' | 'decay', RecurrenceAttrs> = defineOp({
  name: 'recurrence',
  args: ['x', 'decay'],
  infer([x, decay]) {
    checkNumeric('recurrence', decay!)
    return { shape: x!.shape, dtype: wide(x!.dtype) }
  },
  kernel: (attrs) => ({ kind: 'cumulate', ...attrs }),
  vjp: {
    x: ({ g, decay, attrs }) => adjoint(g, decay, attrs),
    decay: ({ g, decay, out, attrs: { initial, ...attrs } }) =>
      mul(adjoint(g, decay, attrs), shifted(out, attrs, initial)),
  },
})

/** What flows into x: l[i] = g[i] + decay[i + 1] l[i + 1] */
function adjoint(g: Tensor, decay: Tensor, { axis, reverse }: CumulativeAttrs): Tensor {
  const back = { axis, reverse: !reverse }
  return call(recurrenceRow, [g, shifted(decay, back, 0)], { ...back, initial: 0 })
}

/** x one step later along the direction of the recurrence, with `first` coming in. */
function shifted(x: Tensor, { axis, reverse }: CumulativeAttrs, first: number): Tensor {
  const side = x.shape[axis]!
  if (side === 0) return x
  const rest = part(x, axis, reverse ? 1 : 0, side - 1)
  const pair = reverse ? ([0, 1] as const) : ([1, 0] as const)
  return padWith(
    rest,
    x.shape.map((_, a) => (a === axis ? pair : ([0, 0] as const))),
    first,
  )
}

/** The product of all values before each one along `axis` (after it where reverse). @internal */
export function productBefore(x: Tensor, axis: number, reverse: boolean): Tensor {
  return shifted(runningProduct(x, axis, reverse), { axis, reverse }, 1)
}

function runningProduct(x: Tensor, axis: number, reverse: boolean): Tensor {
  return call(recurrenceRow, [zerosLike(x), x], { axis, reverse, initial: 1 })
}

const exclusiveSumRow: Row<'x', CumulativeAttrs> = composite({
  name: 'cumsum',
  args: ['x'],
  compose([x], { axis, reverse }) {
    const along = { axis: checkAxis('cumsum', axis, x!.rank), reverse }
    return shifted(call(cumsumRow, [x!], along), along, 0)
  },
})

const cumprodRow: Row<'x', CumulativeAttrs & { readonly exclusive: boolean }> = composite({
  name: 'cumprod',
  args: ['x'],
  compose([x], { axis, reverse, exclusive }) {
    checkNumeric('cumprod', x!)
    const along = checkAxis('cumprod', axis, x!.rank)
    return exclusive ? productBefore(x!, along, reverse) : runningProduct(x!, along, reverse)
  },
})

/** Running sums along `axis`; options may be the axis alone. */
export function cumsum<X extends Operand>(x: X, options: number | CumulativeOptions = {}): Like<X> {
  const { axis, reverse, exclusive } = cumulativeAttrs('cumsum', options)
  return call(exclusive ? exclusiveSumRow : cumsumRow, [x], { axis, reverse }) as Like<X>
}

/** Running products along `axis`; options may be the axis alone. Gradients are right with zeros, too. */
export function cumprod<X extends Operand>(x: X, options: number | CumulativeOptions = {}): Like<X> {
  return call(cumprodRow, [x], cumulativeAttrs('cumprod', options)) as Like<X>
}

function cumulativeAttrs(op: string, options: number | CumulativeOptions): Required<CumulativeOptions> {
  // What is neither an object of options nor an axis is refused as an axis.
  const given = isRecord(options)
    ? checkOptions<CumulativeOptions>(op, options, ['axis', 'exclusive', 'reverse'])
    : { axis: options as number }
  const { axis = 0, exclusive = false, reverse = false } = given
  return { axis, exclusive, reverse }
}
