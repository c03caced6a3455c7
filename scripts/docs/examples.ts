import * as ops from '../../packages/core/src/ops/index.js'
import { ones, tensor, type Tensor } from '../../packages/core/src/tensor.js'

/** Tensors by name. A list stands for an argument that takes any number of them. */
export type Operands = Readonly<Record<string, Tensor | readonly Tensor[]>>

/** What a page tells of an op that its row does not say. */
export interface Example {
  /** The page shows the call with these in the place of their names, and gives the derivatives by the floats among them. */
  readonly operands: Operands
  readonly call: (operands: never) => Tensor | readonly Tensor[]
  /** The shape of the result in words; elementwise ops need none. */
  readonly shape?: string
  /** Where it depends on attributes, in words: else what running the example gives. */
  readonly dtype?: string
  readonly derivative?: string
}

type Ops = typeof ops
/** The name of every op that users can call. */
export type OpName = {
  [K in keyof Ops]: Ops[K] extends (...args: never[]) => unknown ? K : never
}[keyof Ops]

/** A family is a file of packages/core/src/ops, and a page. */
export const families: Readonly<Record<string, { readonly title: string; readonly intro: string }>> = {
  arithmetic: { title: 'Arithmetic', intro: 'Sums, products, powers, extremes and remainders.' },
  exponential: { title: 'Exponentials and logarithms', intro: 'Also near 0, where precision is lost.' },
  trigonometric: { title: 'Trigonometry', intro: 'Circular and hyperbolic functions, angles in radians.' },
  rounding: {
    title: 'Rounding',
    intro: 'Derivatives are 0 wherever they exist, and taken as 0 at the steps.',
  },
  comparison: {
    title: 'Comparison and logic',
    intro: 'All give bool, and none has a derivative. A comparison with NaN is false, but for `notEqual`.',
  },
  activation: { title: 'Activations', intro: 'What neural networks put between their layers.' },
  select: { title: 'Selecting', intro: 'Masks, limits, other dtypes.' },
  reduce: {
    title: 'Reductions',
    intro: 'From many values to one, over all axes or some. Negative axes count from the end.',
  },
  statistics: { title: 'Statistics', intro: 'Variances, deviations, lengths.' },
  cumulative: { title: 'Running sums and products', intro: 'One result for each value.' },
  movement: { title: 'Shapes', intro: 'The same values under another shape or in another order.' },
  slicing: { title: 'Slicing', intro: 'Parts of a tensor.' },
  joining: { title: 'Joining and repeating', intro: 'Larger tensors from smaller ones.' },
  indexing: {
    title: 'Indexing',
    intro: 'Values at positions that are data themselves: whole-number tensors, or plain lists of numbers.',
  },
  diagonal: { title: 'Diagonals and triangles', intro: 'Parts of a matrix.' },
  linalg: { title: 'Matrix product', intro: 'The one that training spends its time on.' },
  contraction: { title: 'Other products', intro: 'Sums of products over chosen axes.' },
  einsum: { title: 'Einstein sums', intro: 'Any sum of products, as an equation.' },
  nn: { title: 'Softmax', intro: 'Probabilities from scores.' },
  normalization: { title: 'Normalizations', intro: 'Values brought to a common scale.' },
  attention: { title: 'Attention', intro: 'What a query takes from keys and values.' },
  recurrent: { title: 'Recurrent cells', intro: 'One step of each.' },
  losses: {
    title: 'Losses',
    intro:
      'Targets come first, predictions second; formulas and constants are those of Keras 3. Each gives a value for ' +
      'each sample unless `reduction` says otherwise.',
  },
}

const op = <A extends Operands>(
  operands: A,
  call: (operands: A) => Tensor | readonly Tensor[],
  shape?: string,
  more: Pick<Example, 'dtype' | 'derivative'> = {},
): Example => ({ operands, call, ...(shape !== undefined && { shape }), ...more })

const REDUCED = 'x without the reduced axes; `keepDims` leaves them as sides of 1'
const AS_X = 'that of x'
const PER_SAMPLE = 'of yPred, without `axis`; [] after a reduction'
const PER_BATCH = '[]: one value for the whole batch unless `axis` says otherwise'

/** One for each op: without it this file does not compile. */
export const examples: Readonly<Record<OpName, Example>> = {
  // arithmetic
  add: op({ x: tensor([1, 2]), y: tensor([10, 20]) }, ({ x, y }) => ops.add(x, y)),
  sub: op({ x: tensor([1, 2]), y: tensor([10, 20]) }, ({ x, y }) => ops.sub(x, y)),
  mul: op({ x: tensor([1, 2]), y: tensor([10, 20]) }, ({ x, y }) => ops.mul(x, y)),
  div: op({ x: tensor([1, 2]), y: tensor([4, 0]) }, ({ x, y }) => ops.div(x, y)),
  neg: op({ x: tensor([1, -2]) }, ({ x }) => ops.neg(x)),
  abs: op({ x: tensor([-2, 0, 3]) }, ({ x }) => ops.abs(x)),
  sign: op({ x: tensor([-2, 0, 3]) }, ({ x }) => ops.sign(x)),
  square: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.square(x)),
  squaredDifference: op({ x: tensor([1, 2]), y: tensor([4, 2]) }, ({ x, y }) => ops.squaredDifference(x, y)),
  reciprocal: op({ x: tensor([2, 4]) }, ({ x }) => ops.reciprocal(x)),
  sqrt: op({ x: tensor([4, 9, -1]) }, ({ x }) => ops.sqrt(x)),
  rsqrt: op({ x: tensor([4, 16]) }, ({ x }) => ops.rsqrt(x)),
  pow: op({ x: tensor([2, 3]), y: tensor([10, -1]) }, ({ x, y }) => ops.pow(x, y)),
  powScalar: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.powScalar(x, 3)),
  maximum: op({ x: tensor([1, 5]), y: tensor([4, 2]) }, ({ x, y }) => ops.maximum(x, y)),
  minimum: op({ x: tensor([1, 5]), y: tensor([4, 2]) }, ({ x, y }) => ops.minimum(x, y)),
  mod: op({ x: tensor([7, -7]), y: tensor([3, 3]) }, ({ x, y }) => ops.mod(x, y)),
  fmod: op({ x: tensor([7, -7]), y: tensor([3, 3]) }, ({ x, y }) => ops.fmod(x, y)),
  floorDiv: op({ x: tensor([7, -7]), y: tensor([3, 3]) }, ({ x, y }) => ops.floorDiv(x, y)),
  hypot: op({ x: tensor([3, 5]), y: tensor([4, 12]) }, ({ x, y }) => ops.hypot(x, y)),
  xlogy: op({ x: tensor([0, 2]), y: tensor([0, 10]) }, ({ x, y }) => ops.xlogy(x, y)),
  logAddExp: op({ x: tensor([0, 1000]), y: tensor([0, 1000]) }, ({ x, y }) => ops.logAddExp(x, y)),

  // exponential
  exp: op({ x: tensor([0, 1]) }, ({ x }) => ops.exp(x)),
  exp2: op({ x: tensor([0, 3, -1]) }, ({ x }) => ops.exp2(x)),
  expm1: op({ x: tensor([0, 1, 1e-9]) }, ({ x }) => ops.expm1(x)),
  log: op({ x: tensor([1, 10, 0]) }, ({ x }) => ops.log(x)),
  log2: op({ x: tensor([1, 8]) }, ({ x }) => ops.log2(x)),
  log10: op({ x: tensor([1, 1000]) }, ({ x }) => ops.log10(x)),
  log1p: op({ x: tensor([0, 1, 1e-9]) }, ({ x }) => ops.log1p(x)),

  // trigonometric
  sin: op({ x: tensor([0, Math.PI / 2]) }, ({ x }) => ops.sin(x)),
  cos: op({ x: tensor([0, Math.PI / 2]) }, ({ x }) => ops.cos(x)),
  tan: op({ x: tensor([0, Math.PI / 4]) }, ({ x }) => ops.tan(x)),
  asin: op({ x: tensor([0, 1]) }, ({ x }) => ops.asin(x)),
  acos: op({ x: tensor([0, 1]) }, ({ x }) => ops.acos(x)),
  atan: op({ x: tensor([0, 1]) }, ({ x }) => ops.atan(x)),
  atan2: op({ x: tensor([1, -1]), y: tensor([0, -1]) }, ({ x, y }) => ops.atan2(x, y)),
  sinh: op({ x: tensor([0, 1]) }, ({ x }) => ops.sinh(x)),
  cosh: op({ x: tensor([0, 1]) }, ({ x }) => ops.cosh(x)),
  tanh: op({ x: tensor([0, 1, 20]) }, ({ x }) => ops.tanh(x)),
  asinh: op({ x: tensor([0, 1]) }, ({ x }) => ops.asinh(x)),
  acosh: op({ x: tensor([1, 2]) }, ({ x }) => ops.acosh(x)),
  atanh: op({ x: tensor([0, 0.5]) }, ({ x }) => ops.atanh(x)),

  // rounding
  floor: op({ x: tensor([1.5, -1.5]) }, ({ x }) => ops.floor(x)),
  ceil: op({ x: tensor([1.5, -1.2]) }, ({ x }) => ops.ceil(x)),
  round: op({ x: tensor([0.5, 1.5, 2.6]) }, ({ x }) => ops.round(x)),
  trunc: op({ x: tensor([1.7, -1.7]) }, ({ x }) => ops.trunc(x)),

  // comparison
  equal: op({ x: tensor([1, 2]), y: tensor([1, 3]) }, ({ x, y }) => ops.equal(x, y)),
  notEqual: op({ x: tensor([1, 2]), y: tensor([1, 3]) }, ({ x, y }) => ops.notEqual(x, y)),
  less: op({ x: tensor([1, 2]), y: tensor([1, 3]) }, ({ x, y }) => ops.less(x, y)),
  lessEqual: op({ x: tensor([1, 2]), y: tensor([1, 3]) }, ({ x, y }) => ops.lessEqual(x, y)),
  greater: op({ x: tensor([1, 4]), y: tensor([1, 3]) }, ({ x, y }) => ops.greater(x, y)),
  greaterEqual: op({ x: tensor([1, 4]), y: tensor([1, 5]) }, ({ x, y }) => ops.greaterEqual(x, y)),
  logicalAnd: op({ x: tensor([true, true]), y: tensor([true, false]) }, ({ x, y }) => ops.logicalAnd(x, y)),
  logicalOr: op({ x: tensor([false, true]), y: tensor([false, false]) }, ({ x, y }) => ops.logicalOr(x, y)),
  logicalXor: op({ x: tensor([true, true]), y: tensor([true, false]) }, ({ x, y }) => ops.logicalXor(x, y)),
  logicalNot: op({ x: tensor([true, false]) }, ({ x }) => ops.logicalNot(x)),
  isNaN: op({ x: tensor([1, NaN]) }, ({ x }) => ops.isNaN(x)),
  isFinite: op({ x: tensor([1, -Infinity, NaN]) }, ({ x }) => ops.isFinite(x)),
  isInf: op({ x: tensor([1, -Infinity, NaN]) }, ({ x }) => ops.isInf(x)),

  // activation
  relu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.relu(x)),
  relu6: op({ x: tensor([-1, 2, 9]) }, ({ x }) => ops.relu6(x)),
  leakyRelu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.leakyRelu(x)),
  elu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.elu(x)),
  selu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.selu(x)),
  sigmoid: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.sigmoid(x)),
  logSigmoid: op({ x: tensor([0, -1000]) }, ({ x }) => ops.logSigmoid(x)),
  softplus: op({ x: tensor([0, 1000]) }, ({ x }) => ops.softplus(x)),
  softsign: op({ x: tensor([-1, 0, 3]) }, ({ x }) => ops.softsign(x)),
  silu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.silu(x), AS_X, {
    derivative: '`dx = g * s * (1 + x * (1 - s))` with `s = sigmoid(x)`',
  }),
  mish: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.mish(x), AS_X, {
    derivative: '`dx = g * (t + x * (1 - t²) * s)` with `s = sigmoid(x)` and `t = tanh(softplus(x))`',
  }),
  gelu: op({ x: tensor([-1, 0, 2]) }, ({ x }) => ops.gelu(x)),
  hardSigmoid: op({ x: tensor([-4, 0, 1]) }, ({ x }) => ops.hardSigmoid(x)),
  erf: op({ x: tensor([0, 1]) }, ({ x }) => ops.erf(x)),
  erfc: op({ x: tensor([0, 1, 6]) }, ({ x }) => ops.erfc(x)),

  // select
  where: op({ cond: tensor([true, false]), x: tensor([1, 2]), y: tensor([-1, -2]) }, ({ cond, x, y }) =>
    ops.where(cond, x, y),
  ),
  clip: op({ x: tensor([-3, 0.5, 3]) }, ({ x }) => ops.clip(x, -1, 1)),
  cast: op({ x: tensor([1.7, -1.7]) }, ({ x }) => ops.cast(x, 'int32'), AS_X, {
    dtype: '`dtype`',
    derivative: '`dx = g` between floats, else none',
  }),
  stopGradient: op({ x: tensor([1, 2]) }, ({ x }) => ops.stopGradient(x), AS_X),

  // reduce
  sum: op(
    {
      x: tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }),
    },
    ({ x }) => ops.sum(x, 1),
    REDUCED,
  ),
  mean: op(
    {
      x: tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }),
    },
    ({ x }) => ops.mean(x, 1),
    REDUCED,
  ),
  max: op(
    {
      x: tensor([1, 3, 2, 6, 5, 4], { shape: [2, 3] }),
    },
    ({ x }) => ops.max(x, 1),
    REDUCED,
  ),
  min: op(
    {
      x: tensor([1, 3, 2, 6, 5, 4], { shape: [2, 3] }),
    },
    ({ x }) => ops.min(x, 1),
    REDUCED,
  ),
  prod: op(
    {
      x: tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }),
    },
    ({ x }) => ops.prod(x, 1),
    REDUCED,
  ),
  logSumExp: op({ x: tensor([1000, 1000]) }, ({ x }) => ops.logSumExp(x), REDUCED),
  any: op(
    {
      x: tensor([true, false, false, false], { shape: [2, 2] }),
    },
    ({ x }) => ops.any(x, 1),
    REDUCED,
  ),
  all: op(
    {
      x: tensor([true, true, true, false], { shape: [2, 2] }),
    },
    ({ x }) => ops.all(x, 1),
    REDUCED,
  ),
  argMax: op(
    {
      x: tensor([1, 3, 2, 6, 5, 4], { shape: [2, 3] }),
    },
    ({ x }) => ops.argMax(x),
    'x without `axis`',
  ),
  argMin: op(
    {
      x: tensor([1, 3, 2, 6, 5, 4], { shape: [2, 3] }),
    },
    ({ x }) => ops.argMin(x),
    'x without `axis`',
  ),

  // statistics
  variance: op({ x: tensor([1, 2, 3, 4]) }, ({ x }) => ops.variance(x), REDUCED),
  std: op({ x: tensor([1, 2, 3, 4]) }, ({ x }) => ops.std(x), REDUCED),
  norm: op({ x: tensor([3, 4]) }, ({ x }) => ops.norm(x), REDUCED),

  // cumulative
  cumsum: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.cumsum(x), AS_X),
  cumprod: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.cumprod(x, { reverse: true }), AS_X),

  // movement
  reshape: op({ x: tensor([1, 2, 3, 4]) }, ({ x }) => ops.reshape(x, [2, -1]), '`shape`'),
  expandDims: op({ x: tensor([1, 2]) }, ({ x }) => ops.expandDims(x, 1), 'x with a side of 1 at `axis`'),
  squeeze: op({ x: tensor([[1, 2]]) }, ({ x }) => ops.squeeze(x), 'x without sides of 1'),
  transpose: op(
    { x: tensor([[1, 2, 3]]) },
    ({ x }) => ops.transpose(x),
    'the sides of x in the order of `perm`',
  ),
  broadcastTo: op({ x: tensor([1, 2]) }, ({ x }) => ops.broadcastTo(x, [2, 2]), '`shape`'),

  // slicing
  slice: op(
    {
      x: tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    },
    ({ x }) => ops.slice(x, '1, ::-1'),
    'what `text` leaves of each axis, or `size`',
  ),
  stridedSlice: op(
    { x: tensor([1, 2, 3, 4]) },
    ({ x }) => ops.stridedSlice(x, { begin: [1], strides: [2] }),
    'as many as there are steps on each axis',
  ),
  flip: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.flip(x), AS_X),
  split: op({ x: tensor([1, 2, 3, 4]) }, ({ x }) => ops.split(x, [1, 3]), 'x with each of `sizes` on `axis`'),
  unstack: op(
    {
      x: tensor([1, 2, 3, 4], { shape: [2, 2] }),
    },
    ({ x }) => ops.unstack(x),
    'x without `axis`, as often as that is long',
  ),

  // joining
  concat: op(
    { xs: [tensor([1, 2]), tensor([3])] },
    ({ xs }) => ops.concat(xs),
    'that of the first, the sides on `axis` added up',
  ),
  stack: op(
    { xs: [tensor([1, 2]), tensor([3, 4])] },
    ({ xs }) => ops.stack(xs),
    'that of all, with a new side at `axis`',
  ),
  pad: op(
    { x: tensor([1, 2]) },
    ({ x }) => ops.pad(x, { paddings: [[1, 2]] }),
    'x with its paddings added to each side',
  ),
  tile: op({ x: tensor([1, 2]) }, ({ x }) => ops.tile(x, [2]), 'x, each side times its `reps`'),
  repeat: op(
    { x: tensor([1, 2]) },
    ({ x }) => ops.repeat(x, 2),
    'x with the side at `axis` times `repeats`; flat without an axis',
  ),
  roll: op({ x: tensor([1, 2, 3]) }, ({ x }) => ops.roll(x, 1), AS_X),

  // indexing
  gather: op(
    { x: tensor([10, 20, 30]), indices: tensor([2, 0, 2], { dtype: 'int32' }) },
    ({ x, indices }) => ops.gather(x, indices),
    'x with `axis` replaced by the shape of indices',
  ),
  scatterAdd: op(
    { x: tensor([10, 20]), indices: tensor([0, 0], { dtype: 'int32' }), updates: tensor([1, 2]) },
    ({ x, indices, updates }) => ops.scatterAdd(x, indices, updates),
    AS_X,
  ),
  oneHot: op(
    { indices: tensor([2, 0], { dtype: 'int32' }) },
    ({ indices }) => ops.oneHot(indices, 3),
    'of indices, then `depth`',
  ),
  takeAlongAxis: op(
    {
      x: tensor([1, 3, 6, 5], { shape: [2, 2] }),
      indices: tensor([[1], [0]], { dtype: 'int32' }),
    },
    ({ x, indices }) => ops.takeAlongAxis(x, indices),
    'broadcast of x and indices, with their side on `axis`',
  ),
  gatherND: op(
    {
      x: tensor([1, 2, 3, 4], { shape: [2, 2] }),
      indices: tensor([[1, 0]], { dtype: 'int32' }),
    },
    ({ x, indices }) => ops.gatherND(x, indices),
    'of indices without its last axis, then the axes of x that it leaves',
  ),
  embedding: op(
    {
      table: tensor([1, 2, 3, 4], { shape: [2, 2] }),
      indices: tensor([1, 1], { dtype: 'int32' }),
    },
    ({ table, indices }) => ops.embedding(table, indices),
    'of indices, then the length of a row',
  ),

  // diagonal
  diagonal: op(
    {
      x: tensor([1, 2, 3, 4], { shape: [2, 2] }),
    },
    ({ x }) => ops.diagonal(x),
    'x without its first two axes, then the length of the diagonal',
  ),
  tril: op(
    {
      x: tensor([1, 2, 3, 4], { shape: [2, 2] }),
    },
    ({ x }) => ops.tril(x),
    AS_X,
  ),
  triu: op(
    {
      x: tensor([1, 2, 3, 4], { shape: [2, 2] }),
    },
    ({ x }) => ops.triu(x),
    AS_X,
  ),

  // linalg
  matmul: op(
    { a: tensor([[1, 2]]), b: tensor([[3], [4]]) },
    ({ a, b }) => ops.matmul(a, b),
    '[…, m, k] x […, k, n] is […, m, n]; batch axes broadcast',
  ),

  // contraction
  dot: op(
    { a: tensor([1, 2]), b: tensor([3, 4]) },
    ({ a, b }) => ops.dot(a, b),
    'a without its last axis, then b without the one before its last',
  ),
  outer: op(
    { a: tensor([1, 2]), b: tensor([3, 4]) },
    ({ a, b }) => ops.outer(a, b),
    '[size of a, size of b]',
  ),
  tensordot: op(
    { a: tensor([[1, 2]]), b: tensor([[3], [4]]) },
    ({ a, b }) => ops.tensordot(a, b, 1),
    'what is left of a, then what is left of b',
  ),

  // einsum
  einsum: op(
    {
      a: tensor([1, 2, 3, 4], { shape: [2, 2] }),
      b: tensor([10, 1]),
    },
    ({ a, b }) => ops.einsum('ij,j->i', a, b),
    'a side for each label of the output',
  ),

  // nn
  softmax: op({ x: tensor([0, 1, 2]) }, ({ x }) => ops.softmax(x), AS_X),
  logSoftmax: op({ x: tensor([0, 1, 2]) }, ({ x }) => ops.logSoftmax(x), AS_X),

  // normalization
  layerNorm: op(
    { x: tensor([1, 2, 3]), gamma: tensor([1, 1, 1]), beta: tensor([0, 0, 0]) },
    ({ x, gamma, beta }) => ops.layerNorm(x, gamma, beta),
    AS_X,
  ),
  rmsNorm: op(
    { x: tensor([1, 2, 3]), gamma: tensor([1, 1, 1]) },
    ({ x, gamma }) => ops.rmsNorm(x, gamma),
    AS_X,
  ),
  batchNormTrain: op(
    { x: tensor([[1], [3]]), gamma: tensor([1]), beta: tensor([0]) },
    ({ x, gamma, beta }) => ops.batchNormTrain(x, gamma, beta),
    'that of x; mean and variance are [channels]',
  ),
  batchNormInference: op(
    {
      x: tensor([[1], [3]]),
      mean: tensor([2]),
      variance: tensor([1]),
      gamma: tensor([1]),
      beta: tensor([0]),
    },
    ({ x, mean, variance, gamma, beta }) => ops.batchNormInference(x, mean, variance, gamma, beta),
    AS_X,
  ),
  groupNorm: op(
    { x: tensor([[1, 3, 10, 30]]), gamma: tensor([1, 1, 1, 1]), beta: tensor([0, 0, 0, 0]) },
    ({ x, gamma, beta }) => ops.groupNorm(x, gamma, beta, 2),
    AS_X,
  ),
  l2Normalize: op({ x: tensor([3, 4]) }, ({ x }) => ops.l2Normalize(x), AS_X),

  // attention
  scaledDotProductAttention: op(
    {
      q: tensor([[1, 0]]),
      k: tensor([1, 0, 0, 1], { shape: [2, 2] }),
      v: tensor([[10], [20]]),
    },
    ({ q, k, v }) => ops.scaledDotProductAttention(q, k, v),
    '[…, n, e] for queries […, n, d] and values […, m, e]',
  ),

  // recurrent
  lstmCell: op(
    {
      x: tensor([[1]]),
      h: tensor([[0]]),
      c: tensor([[0]]),
      kernel: ones([1, 4]),
      recurrentKernel: ones([1, 4]),
      bias: tensor([0, 1, 0, 0]),
    },
    ({ x, h, c, kernel, recurrentKernel, bias }) => ops.lstmCell(x, h, c, kernel, recurrentKernel, bias),
    '[n, u], both',
  ),
  gruCell: op(
    {
      x: tensor([[1]]),
      h: tensor([[0]]),
      kernel: ones([1, 3]),
      recurrentKernel: ones([1, 3]),
      bias: tensor([0, 0, 0, 0, 0, 0], { shape: [2, 3] }),
    },
    ({ x, h, kernel, recurrentKernel, bias }) => ops.gruCell(x, h, kernel, recurrentKernel, bias),
    '[n, u]',
  ),

  // losses
  meanSquaredError: op(
    { yTrue: tensor([[1, 2]]), yPred: tensor([[1, 4]]) },
    ({ yTrue, yPred }) => ops.meanSquaredError(yTrue, yPred),
    PER_SAMPLE,
  ),
  meanAbsoluteError: op(
    { yTrue: tensor([[1, 2]]), yPred: tensor([[1, 4]]) },
    ({ yTrue, yPred }) => ops.meanAbsoluteError(yTrue, yPred),
    PER_SAMPLE,
  ),
  meanAbsolutePercentageError: op(
    { yTrue: tensor([[1, 2]]), yPred: tensor([[1, 4]]) },
    ({ yTrue, yPred }) => ops.meanAbsolutePercentageError(yTrue, yPred),
    PER_SAMPLE,
  ),
  meanSquaredLogarithmicError: op(
    { yTrue: tensor([[0, 1]]), yPred: tensor([[0, 3]]) },
    ({ yTrue, yPred }) => ops.meanSquaredLogarithmicError(yTrue, yPred),
    PER_SAMPLE,
  ),
  huber: op(
    { yTrue: tensor([[0, 0]]), yPred: tensor([[0.5, 3]]) },
    ({ yTrue, yPred }) => ops.huber(yTrue, yPred),
    PER_SAMPLE,
  ),
  logCosh: op(
    { yTrue: tensor([[0, 0]]), yPred: tensor([[0.5, 3]]) },
    ({ yTrue, yPred }) => ops.logCosh(yTrue, yPred),
    PER_SAMPLE,
  ),
  cosineSimilarity: op(
    { yTrue: tensor([[1, 0]]), yPred: tensor([[3, 4]]) },
    ({ yTrue, yPred }) => ops.cosineSimilarity(yTrue, yPred),
    PER_SAMPLE,
  ),
  poisson: op(
    { yTrue: tensor([[1, 2]]), yPred: tensor([[1, 2]]) },
    ({ yTrue, yPred }) => ops.poisson(yTrue, yPred),
    PER_SAMPLE,
  ),
  binaryCrossentropy: op(
    { yTrue: tensor([[1, 0]]), yPred: tensor([[0.9, 0.2]]) },
    ({ yTrue, yPred }) => ops.binaryCrossentropy(yTrue, yPred),
    PER_SAMPLE,
  ),
  categoricalCrossentropy: op(
    { yTrue: tensor([[0, 1]]), yPred: tensor([[0.2, 0.8]]) },
    ({ yTrue, yPred }) => ops.categoricalCrossentropy(yTrue, yPred),
    PER_SAMPLE,
  ),
  sparseCategoricalCrossentropy: op(
    { yTrue: tensor([1], { dtype: 'int32' }), yPred: tensor([[0.2, 0.8]]) },
    ({ yTrue, yPred }) => ops.sparseCategoricalCrossentropy(yTrue, yPred),
    PER_SAMPLE,
  ),
  klDivergence: op(
    { yTrue: tensor([[0.5, 0.5]]), yPred: tensor([[0.2, 0.8]]) },
    ({ yTrue, yPred }) => ops.klDivergence(yTrue, yPred),
    PER_SAMPLE,
  ),
  binaryFocalCrossentropy: op(
    { yTrue: tensor([[1, 0]]), yPred: tensor([[0.9, 0.2]]) },
    ({ yTrue, yPred }) => ops.binaryFocalCrossentropy(yTrue, yPred),
    PER_SAMPLE,
  ),
  categoricalFocalCrossentropy: op(
    { yTrue: tensor([[0, 1]]), yPred: tensor([[0.2, 0.8]]) },
    ({ yTrue, yPred }) => ops.categoricalFocalCrossentropy(yTrue, yPred),
    PER_SAMPLE,
  ),
  hinge: op(
    { yTrue: tensor([[-1, 1]]), yPred: tensor([[0.5, 0.5]]) },
    ({ yTrue, yPred }) => ops.hinge(yTrue, yPred),
    PER_SAMPLE,
  ),
  squaredHinge: op(
    { yTrue: tensor([[-1, 1]]), yPred: tensor([[0.5, 0.5]]) },
    ({ yTrue, yPred }) => ops.squaredHinge(yTrue, yPred),
    PER_SAMPLE,
  ),
  categoricalHinge: op(
    { yTrue: tensor([[0, 1]]), yPred: tensor([[0.7, 0.3]]) },
    ({ yTrue, yPred }) => ops.categoricalHinge(yTrue, yPred),
    PER_SAMPLE,
  ),
  dice: op(
    { yTrue: tensor([[1, 0]]), yPred: tensor([[0.5, 0.5]]) },
    ({ yTrue, yPred }) => ops.dice(yTrue, yPred),
    PER_BATCH,
  ),
  tversky: op(
    { yTrue: tensor([[1, 0]]), yPred: tensor([[0.5, 0.5]]) },
    ({ yTrue, yPred }) => ops.tversky(yTrue, yPred),
    PER_BATCH,
  ),
}
