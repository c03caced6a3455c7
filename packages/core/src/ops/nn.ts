import { toFloat } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { call, defineOp, type Like, type Operand, type Row } from '../op.js'
import { checkAxis } from '../shape.js'
import { mul, sub } from './arithmetic.js'
import { exp } from './exponential.js'
import { sum } from './reduce.js'

interface AxisAttrs {
  readonly axis: number
}

const softmaxRow: Row<'x', AxisAttrs> = defineOp({
  name: 'softmax',
  args: ['x'],
  infer([x], { axis }) {
    if (x!.shape.length === 0)
      throw new ShapeError('softmax: a scalar has no axis to normalise over', { op: 'softmax' })
    checkAxis('softmax', axis, x!.shape.length)
    return { shape: x!.shape, dtype: toFloat('softmax', x!.dtype) }
  },
  kernel: ({ axis }, [x]) => ({
    kind: 'softmax',
    axis: checkAxis('softmax', axis, x!.shape.length),
    log: false,
  }),
  vjp: { x: ({ g, out, attrs: { axis } }) => mul(out, sub(g, sum(mul(g, out), axis, true))) },
})

/** exp(x) / sum(exp(x)) along `axis`, without overflow. A row of -Infinity only gives NaN. */
export function softmax<X extends Operand>(x: X, axis: number = -1): Like<X> {
  return call(softmaxRow, [x], { axis }) as Like<X>
}

const logSoftmaxRow: Row<'x', AxisAttrs> = defineOp({
  name: 'logSoftmax',
  args: ['x'],
  infer: softmaxRow.infer,
  kernel: ({ axis }, [x]) => ({
    kind: 'softmax',
    axis: checkAxis('logSoftmax', axis, x!.shape.length),
    log: true,
  }),
  vjp: { x: ({ g, out, attrs: { axis } }) => sub(g, mul(exp(out), sum(g, axis, true))) },
})

/** log(softmax(x)) along `axis`, without overflow. */
export function logSoftmax<X extends Operand>(x: X, axis: number = -1): Like<X> {
  return call(logSoftmaxRow, [x], { axis }) as Like<X>
}
