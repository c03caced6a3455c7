import { ShapeError } from '../errors.js'
import { call, composite, type Like, type Operand, type Row } from '../op.js'
import { formatShape } from '../shape.js'
import { mul } from './arithmetic.js'
import { matmul } from './linalg.js'
import { softmax } from './nn.js'
import { where } from './select.js'

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
