import { toFloat } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { call, defineOp, type Like, type Operand, type Row, type Rule } from '../op.js'
import { checkAxis } from '../shape.js'
import { mul, sub } from './arithmetic.js'
import { exp } from './exponential.js'
import { sum } from './reduce.js'

interface AxisAttrs {
  readonly axis: number
}

/** softmax and its logarithm differ in the rule only. */
function normalized(name: string, log: boolean, rule: Rule<'x', AxisAttrs>): Row<'x', AxisAttrs> {
  return defineOp({
    name,
    args: ['x'],
    infer([x], { axis }) {
      if (x!.shape.length === 0)
        throw new ShapeError(`${name}: a scalar has no axis to normalise over`, { op: name })
      checkAxis(name, axis, x!.shape.length)
      return { shape: x!.shape, dtype: toFloat(name, x!.dtype) }
    },
    kernel: ({ axis }, [x]) => ({ kind: 'softmax', axis: checkAxis(name, axis, x!.shape.length), log }),
    vjp: { x: rule },
    ulps: 2,
  })
}

const softmaxRow = normalized('softmax', false, ({ g, out, attrs: { axis } }) =>
  mul(out, sub(g, sum(mul(g, out), axis, true))),
)
const logSoftmaxRow = normalized('logSoftmax', true, ({ g, out, attrs: { axis } }) =>
  sub(g, mul(exp(out), sum(g, axis, true))),
)

/** exp(x) / sum(exp(x)) along `axis`, without overflow. A row of -Infinity only gives NaN. */
export function softmax<X extends Operand>(x: X, axis: number = -1): Like<X> {
  return call(softmaxRow, [x], { axis }) as Like<X>
}

/** log(softmax(x)) along `axis`, without overflow. */
export function logSoftmax<X extends Operand>(x: X, axis: number = -1): Like<X> {
  return call(logSoftmaxRow, [x], { axis }) as Like<X>
}
