import { ShapeError, show, ValueError } from '../errors.js'
import { call, checkNumber, composite, type Like, type Operand, type Result, type Row } from '../op.js'
import { formatShape } from '../shape.js'
import { Tensor } from '../tensor.js'
import { add, maximum, mul, rsqrt, square, sub } from './arithmetic.js'
import { reshape } from './movement.js'
import { mean, sum } from './reduce.js'

interface EpsilonAttrs {
  readonly epsilon: number
}

/** (x - mean) / sqrt(variance + epsilon) over `axes`, with the mean and the (biased) variance, sides of 1 kept. */
function standardized(
  x: Tensor,
  axes: readonly number[],
  epsilon: number,
): { readonly y: Tensor; readonly mean: Tensor; readonly variance: Tensor } {
  const center = mean(x, axes, true)
  const deviation = sub(x, center)
  const variance = mean(square(deviation), axes, true)
  return { y: mul(deviation, rsqrt(add(variance, epsilon))), mean: center, variance }
}

const layerNormRow: Row<'x' | 'gamma' | 'beta', EpsilonAttrs> = composite({
  name: 'layerNorm',
  args: ['x', 'gamma', 'beta'],
  compose([x, gamma, beta], { epsilon }) {
    checkRank('layerNorm', x!, 1)
    return add(mul(standardized(x!, [-1], epsilon).y, gamma!), beta!)
  },
})

function checkRank(op: string, x: Tensor, least: number): void {
  if (x.rank < least)
    throw new ShapeError(`${op}: needs rank >= ${least}, got ${formatShape(x.shape)}`, {
      op,
      shapes: [x.shape],
    })
}

/** x with mean 0 and variance 1 along its last axis, times gamma, plus beta (Ba et al. 2016). */
export function layerNorm<X extends Operand>(
  x: X,
  gamma: Operand,
  beta: Operand,
  epsilon: number = 1e-3,
): Like<X> {
  return call(layerNormRow, [x, gamma, beta], {
    epsilon: checkNumber('layerNorm', 'epsilon', epsilon),
  }) as Like<X>
}

const rmsNormRow: Row<'x' | 'gamma', EpsilonAttrs> = composite({
  name: 'rmsNorm',
  args: ['x', 'gamma'],
  compose([x, gamma], { epsilon }) {
    checkRank('rmsNorm', x!, 1)
    return mul(mul(x!, rsqrt(add(mean(square(x!), -1, true), epsilon))), gamma!)
  },
})

/** x over the root of its mean square along the last axis, times gamma (Zhang & Sennrich 2019). */
export function rmsNorm<X extends Operand>(x: X, gamma: Operand, epsilon: number = 1e-6): Like<X> {
  return call(rmsNormRow, [x, gamma], { epsilon: checkNumber('rmsNorm', 'epsilon', epsilon) }) as Like<X>
}

/**
 * x with mean 0 and variance 1 for each channel (the last axis) over all other axes, times gamma, plus beta (Ioffe &
 * Szegedy 2015). Returns the result, the means and the biased variances of the channels.
 */
export function batchNormTrain(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  epsilon: number = 1e-3,
): [y: Tensor, mean: Tensor, variance: Tensor] {
  if (!(x instanceof Tensor))
    throw new ValueError(`batchNormTrain: x must be a tensor, got ${show(x)}`, { op: 'batchNormTrain' })
  checkRank('batchNormTrain', x, 1)
  const axes = x.shape.slice(1).map((_, axis) => axis)
  const {
    y,
    mean: center,
    variance,
  } = standardized(x, axes, checkNumber('batchNormTrain', 'epsilon', epsilon))
  const channels = [x.shape[x.rank - 1]!]
  return [add(mul(y, gamma), beta), reshape(center, channels), reshape(variance, channels)]
}

const batchNormInferenceRow: Row<'x' | 'mean' | 'variance' | 'gamma' | 'beta', EpsilonAttrs> = composite({
  name: 'batchNormInference',
  args: ['x', 'mean', 'variance', 'gamma', 'beta'],
  compose: ([x, center, variance, gamma, beta], { epsilon }) =>
    add(mul(sub(x!, center!), mul(rsqrt(add(variance!, epsilon)), gamma!)), beta!),
})

/** x less the given means, over the given deviations of its channels (the last axis), times gamma, plus beta. */
export function batchNormInference<X extends Operand>(
  x: X,
  mean: Operand,
  variance: Operand,
  gamma: Operand,
  beta: Operand,
  epsilon: number = 1e-3,
): Like<X> {
  const attrs = { epsilon: checkNumber('batchNormInference', 'epsilon', epsilon) }
  return call(batchNormInferenceRow, [x, mean, variance, gamma, beta], attrs) as Like<X>
}

const groupNormRow: Row<'x' | 'gamma' | 'beta', EpsilonAttrs & { readonly groups: number }> = composite({
  name: 'groupNorm',
  args: ['x', 'gamma', 'beta'],
  compose([x, gamma, beta], { groups, epsilon }) {
    checkRank('groupNorm', x!, 2)
    const { shape } = x!
    const channels = shape[shape.length - 1]!
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
      throw new ValueError(`groupNorm: ${channels} channels cannot be split into ${show(groups)} groups`, {
        op: 'groupNorm',
      })
    const grouped = reshape(x!, [...shape.slice(0, -1), groups, channels / groups])
    // Over everything of a group in a sample: all axes but the batch and the groups.
    const axes = grouped.shape.flatMap((_, axis) => (axis === 0 || axis === grouped.rank - 2 ? [] : [axis]))
    return add(mul(reshape(standardized(grouped, axes, epsilon).y, shape), gamma!), beta!)
  },
})

/**
 * x with mean 0 and variance 1 in each of `groups` groups of channels (the last axis) of a sample, times gamma, plus
 * beta (Wu & He 2018).
 * @throws ValueError unless the groups are equal.
 */
export function groupNorm<X extends Operand>(
  x: X,
  gamma: Operand,
  beta: Operand,
  groups: number,
  epsilon: number = 1e-3,
): Like<X> {
  const attrs = { groups, epsilon: checkNumber('groupNorm', 'epsilon', epsilon) }
  return call(groupNormRow, [x, gamma, beta], attrs) as Like<X>
}

/** x / sqrt(max(sum(x²), epsilon)) along `axis`: of length 1, but for vectors shorter than sqrt(epsilon). */
export function l2Normalize<X extends Operand>(x: X, epsilon: number = 1e-12, axis: number = -1): Result<X> {
  return call(l2NormalizeRow, [x], {
    axis,
    epsilon: checkNumber('l2Normalize', 'epsilon', epsilon),
  }) as Result<X>
}

const l2NormalizeRow: Row<'x', EpsilonAttrs & { readonly axis: number }> = composite({
  name: 'l2Normalize',
  args: ['x'],
  compose: ([x], { axis, epsilon }) => mul(x!, rsqrt(maximum(sum(square(x!), axis, true), epsilon))),
})
