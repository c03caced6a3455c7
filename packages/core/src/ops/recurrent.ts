import { ShapeError } from '../errors.js'
import { call, composite, type Like, type Operand, type Row } from '../op.js'
import { formatShape } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { sigmoid } from './activation.js'
import { add, mul, sub } from './arithmetic.js'
import { matmul } from './linalg.js'
import { reshape } from './movement.js'
import { softmax } from './nn.js'
import { where } from './select.js'
import { part, split } from './slicing.js'
import { tanh } from './trigonometric.js'

/** Low enough that exp of it is 0 beside any score, and finite, so that a row with nothing to attend to is no NaN. */
const MASKED = -1e9

const attentionRow: Row<'q' | 'k' | 'v' | 'mask', object> = composite({
  name: 'scaledDotProductAttention',
  args: ['q', 'k', 'v', 'mask'],
  compose([q, k, v, mask]) {
    for (const x of [q!, k!, v!])
      if (x.rank < 2)
        throw new ShapeError(`scaledDotProductAttention: needs rank >= 2, got ${formatShape(x.shape)}`, {
          op: 'scaledDotProductAttention',
          shapes: [q!.shape, k!.shape, v!.shape],
        })
    const depth = q!.shape[q!.rank - 1]!
    const scores = mul(matmul(q!, k!, false, true), 1 / Math.sqrt(depth))
    return matmul(softmax(mask === undefined ? scores : where(mask, scores, MASKED)), v!)
  },
})

/**
 * softmax(q kᵀ / √d) v for queries [..., n, d], keys [..., m, d] and values [..., m, e] (Vaswani et al. 2017). Where
 * the bool `mask`, which broadcasts to [..., n, m], is false, a query does not see a key.
 */
export function scaledDotProductAttention<Q extends Operand>(
  q: Q,
  k: Operand,
  v: Operand,
  mask?: Operand,
): Like<Q> {
  return call(attentionRow, mask === undefined ? [q, k, v] : [q, k, v, mask], {}) as Like<Q>
}

/**
 * One step of a long short-term memory (Hochreiter & Schmidhuber 1997): x [n, i], state h and c [n, u], kernel
 * [i, 4u], recurrentKernel [u, 4u], bias [4u], gates in the order input, forget, candidate, output. Returns h and c.
 */
export function lstmCell(
  x: Tensor,
  h: Tensor,
  c: Tensor,
  kernel: Tensor,
  recurrentKernel: Tensor,
  bias: Tensor,
): [h: Tensor, c: Tensor] {
  const gates = add(add(matmul(x, kernel), matmul(h, recurrentKernel)), bias)
  const [i, f, candidate, o] = split(gates, 4, -1) as [Tensor, Tensor, Tensor, Tensor]
  const next = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(candidate)))
  return [mul(sigmoid(o), tanh(next)), next]
}

/**
 * One step of a gated recurrent unit (Cho et al. 2014), the reset gate applied after the product as in cuDNN: x [n, i],
 * state h [n, u], kernel [i, 3u], recurrentKernel [u, 3u], bias [2, 3u] (for either product), gates in the order
 * update, reset, candidate. Returns h.
 */
export function gruCell(x: Tensor, h: Tensor, kernel: Tensor, recurrentKernel: Tensor, bias: Tensor): Tensor {
  const row = (at: number): Tensor => reshape(part(bias, 0, at, 1), [-1])
  type Three = [Tensor, Tensor, Tensor]
  const [xz, xr, xh] = split(add(matmul(x, kernel), row(0)), 3, -1) as Three
  const [hz, hr, hh] = split(add(matmul(h, recurrentKernel), row(1)), 3, -1) as Three
  const z = sigmoid(add(xz, hz))
  const candidate = tanh(add(xh, mul(sigmoid(add(xr, hr)), hh)))
  return add(mul(z, h), mul(sub(1, z), candidate))
}
