/** Runs reference cases: their outputs, gradients and Hessian-vector products, through the public ops. */
import * as core from '@adjoint/core'
import { type FloatDType, type Tensor, tensor, vjp } from '@adjoint/core'
import {
  mismatch,
  numbers,
  type ProgramStep,
  type Tolerance,
  TOLERANCES,
  type VectorCase,
  type WrittenTensor,
} from './oracles.js'

// Attributes are whatever the files say.
type Attrs = any
type Adapted = (attrs: Attrs, ...operands: Tensor[]) => Tensor | readonly Tensor[]

function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

/** What core exports, by name. */
const exported: { readonly [name: string]: unknown } = { ...core }

/** Ops that take nothing but their operands. */
const plain = words(`
  neg abs exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh cosh
  tanh asinh acosh atanh sigmoid logSigmoid softplus relu relu6 selu silu mish softsign erf erfc floor ceil round
  trunc sign isNaN isFinite isInf logicalNot add sub mul div pow maximum minimum atan2 mod fmod squaredDifference
  logAddExp hypot xlogy floorDiv equal notEqual less lessEqual greater greaterEqual logicalAnd logicalOr logicalXor
  where
`)

/** Ops of targets and predictions, with options. */
const losses = words(`
  meanSquaredError meanAbsoluteError huber logCosh binaryCrossentropy categoricalCrossentropy
  sparseCategoricalCrossentropy klDivergence hinge squaredHinge categoricalHinge cosineSimilarity poisson
  meanAbsolutePercentageError meanSquaredLogarithmicError
`)

const adapted: { readonly [op: string]: Adapted } = {
  ...Object.fromEntries(
    plain.map((op) => [
      op,
      (_: Attrs, ...xs: Tensor[]) => (exported[op] as (...xs: Tensor[]) => Tensor)(...xs),
    ]),
  ),
  ...Object.fromEntries(
    losses.map((op) => [
      op,
      (options: Attrs, ...xs: Tensor[]) => (exported[op] as (...args: unknown[]) => Tensor)(...xs, options),
    ]),
  ),
  powScalar: ({ exponent }, x) => core.powScalar(x, exponent),
  leakyRelu: ({ alpha }, x) => core.leakyRelu(x, alpha),
  elu: ({ alpha }, x) => core.elu(x, alpha),
  gelu: ({ approximate }, x) => core.gelu(x, approximate),
  hardSigmoid: ({ variant }, x) => core.hardSigmoid(x, variant),
  clip: ({ min, max }, x) => core.clip(x, min, max),
  matmul: ({ transposeA, transposeB }, a, b) => core.matmul(a, b, transposeA, transposeB),
  transpose: ({ perm }, x) => core.transpose(x, perm),
  reshape: ({ shape }, x) => core.reshape(x, shape),
  expandDims: ({ axis }, x) => core.expandDims(x, axis),
  squeeze: ({ axis }, x) => core.squeeze(x, axis),
  broadcastTo: ({ shape }, x) => core.broadcastTo(x, shape),
  slice: ({ begin, size }, x) => core.slice(x, begin, size),
  concat: ({ axis }, ...xs) => core.concat(xs, axis),
  stack: ({ axis }, ...xs) => core.stack(xs, axis),
  gather: ({ axis }, x, indices) => core.gather(x, indices, axis),
  scatterAdd: ({ axis }, x, indices, updates) => core.scatterAdd(x, indices, updates, axis),
  oneHot: ({ depth }, indices) => core.oneHot(indices, depth),
  sum: ({ axis, keepDims }, x) => core.sum(x, axis, keepDims),
  mean: ({ axis, keepDims }, x) => core.mean(x, axis, keepDims),
  max: ({ axis, keepDims }, x) => core.max(x, axis, keepDims),
  min: ({ axis, keepDims }, x) => core.min(x, axis, keepDims),
  argMax: ({ axis }, x) => core.argMax(x, axis),
  argMin: ({ axis }, x) => core.argMin(x, axis),
  softmax: ({ axis }, x) => core.softmax(x, axis),
  logSoftmax: ({ axis }, x) => core.logSoftmax(x, axis),
  prod: ({ axis, keepDims }, x) => core.prod(x, axis, keepDims),
  logSumExp: ({ axis, keepDims }, x) => core.logSumExp(x, axis, keepDims),
  variance: (options, x) => core.variance(x, options),
  std: (options, x) => core.std(x, options),
  norm: (options, x) => core.norm(x, options),
  any: ({ axis, keepDims }, x) => core.any(x, axis, keepDims),
  all: ({ axis, keepDims }, x) => core.all(x, axis, keepDims),
  dot: (_, a, b) => core.dot(a, b),
  outer: (_, a, b) => core.outer(a, b),
  tensordot: ({ axes }, a, b) => core.tensordot(a, b, axes),
  einsum: ({ equation }, ...xs) => core.einsum(equation, ...xs),
  stridedSlice: (options, x) => core.stridedSlice(x, options),
  flip: ({ axes }, x) => core.flip(x, axes),
  split: ({ sizes, axis }, x) => core.split(x, sizes, axis),
  unstack: ({ axis }, x) => core.unstack(x, axis),
  pad: (options, x) => core.pad(x, options),
  tile: ({ reps }, x) => core.tile(x, reps),
  repeat: ({ repeats, axis }, x) => core.repeat(x, repeats, axis),
  roll: ({ shift, axis }, x) => core.roll(x, shift, axis),
  tril: ({ k }, x) => core.tril(x, k),
  triu: ({ k }, x) => core.triu(x, k),
  diagonal: ({ offset }, x) => core.diagonal(x, offset),
  takeAlongAxis: ({ axis }, x, indices) => core.takeAlongAxis(x, indices, axis),
  gatherND: (_, x, indices) => core.gatherND(x, indices),
  embedding: (_, table, indices) => core.embedding(table, indices),
  cumsum: (options, x) => core.cumsum(x, options),
  cumprod: ({ axis }, x) => core.cumprod(x, axis),
  layerNorm: ({ epsilon }, x, gamma, beta) => core.layerNorm(x, gamma, beta, epsilon),
  rmsNorm: ({ epsilon }, x, gamma) => core.rmsNorm(x, gamma, epsilon),
  batchNormTrain: ({ epsilon }, x, gamma, beta) => core.batchNormTrain(x, gamma, beta, epsilon),
  batchNormInference: ({ epsilon }, x, mean, variance, gamma, beta) =>
    core.batchNormInference(x, mean, variance, gamma, beta, epsilon),
  groupNorm: ({ groups, epsilon }, x, gamma, beta) => core.groupNorm(x, gamma, beta, groups, epsilon),
  l2Normalize: ({ epsilon, axis }, x) => core.l2Normalize(x, epsilon, axis),
  scaledDotProductAttention: (_, q, k, v) => core.scaledDotProductAttention(q, k, v),
  lstmCell: (_, ...xs) => core.lstmCell(...(xs as Parameters<typeof core.lstmCell>)),
  gruCell: (_, ...xs) => core.gruCell(...(xs as Parameters<typeof core.gruCell>)),
}

/** Ops of the reference that core does not have yet. */
const notYet: ReadonlySet<string> = new Set(
  words(`
  sort argsort topk conv1d conv2d depthwiseConv2d conv2dTranspose maxPool1d maxPool2d avgPool1d avgPool2d
  globalAvgPool globalMaxPool upSampling2d
`),
)

function stepsOf(c: VectorCase): readonly ProgramStep[] {
  return (c.attrs as { readonly program: readonly ProgramStep[] }).program
}

/** The ops of a case that core does not have yet; a case is in scope when there are none. */
export function missingOps(c: VectorCase): string[] {
  const ops = c.op === 'program' ? stepsOf(c).map((step) => step.op) : [c.op]
  return [...new Set(ops)].filter((op) => notYet.has(op))
}

/** The op of the reference by its name, as a function of its attributes and operands. */
export function opNamed(op: string): Adapted {
  const f = adapted[op]
  if (f === undefined) throw new Error(`${op} is neither adapted nor listed as missing`)
  return f
}

function applied(op: string, attrs: object, xs: readonly Tensor[]): readonly Tensor[] {
  const result = opNamed(op)(attrs, ...xs)
  return result instanceof core.Tensor ? [result] : result
}

function outputsOf(c: VectorCase, xs: readonly Tensor[]): readonly Tensor[] {
  if (c.op !== 'program') return applied(c.op, c.attrs, xs)
  const values = new Map(c.inputs.map(({ name }, i) => [name, xs[i]!]))
  for (const step of stepsOf(c)) {
    const attrs = step.attrs ?? {}
    const operands = step.in.map((name) => values.get(name)!)
    if (step.op === 'gather') operands.push(tensor((attrs as Attrs).indices, { dtype: 'int32' }))
    values.set(step.out, applied(step.op, attrs, operands)[0]!)
  }
  return (c.attrs as { readonly outputs: readonly string[] }).outputs.map((name) => values.get(name)!)
}

/** What a case finds wrong with the ops, in words. */
export function failuresOf(c: VectorCase, precision: FloatDType): string[] {
  const checks = checksOf(c, precision)
  for (let next = checks.next(); ; next = checks.next(next.value.dataSync()))
    if (next.done === true) return next.value
}

/** The same where values are read asynchronously. `ease` widens tolerances of float outputs and gradients. */
export async function failuresWhenRead(
  c: VectorCase,
  precision: FloatDType,
  ease: (tolerance: Tolerance) => Tolerance = (tolerance) => tolerance,
): Promise<string[]> {
  const checks = checksOf(c, precision, ease)
  for (let next = checks.next(); ; next = checks.next(await next.value.data()))
    if (next.done === true) return next.value
}

/** Asks for the values of tensors one by one, and ends with what is wrong. */
function* checksOf(
  c: VectorCase,
  precision: FloatDType,
  ease: (tolerance: Tolerance) => Tolerance = (tolerance) => tolerance,
): Generator<Tensor, string[], ArrayLike<number>> {
  const failures: string[] = []
  const fail = (what: string, found: string | undefined): void => {
    if (found !== undefined) failures.push(`${what}${found}`)
  }
  const isFloat32 = precision === 'float32'
  const f32 = isFloat32 ? c.f32 : undefined
  // Large magnitudes and cancellation cost digits: such cases are marked.
  const factor = !isFloat32 && c.tags?.includes('edge') ? 100 : 1
  const tolerance = (what: 'output' | 'grads' | 'hvp'): Tolerance => {
    const [absolute, relative] = TOLERANCES[precision][what]
    return ease((isFloat32 && c.tol32?.[what]) || [absolute * factor, relative * factor])
  }
  const slackOfOutput = 4 * (f32?.maxAbsErrOut ?? 0)
  const slackOfGrads = 4 * (f32?.maxAbsErrGrad ?? 0)
  const made = ({ data, shape, dtype }: WrittenTensor): Tensor =>
    tensor(numbers(data), { shape, dtype: dtype === 'int32' || dtype === 'bool' ? dtype : precision })

  const xs: Tensor[] = []
  for (const input of c.inputs) xs.push('sameAs' in input ? xs[input.sameAs]! : made(input))

  for (const [i, out] of outputsOf(c, xs).entries()) {
    const want = c.outputs[i]!
    if (String(out.shape) !== String(want.shape)) {
      fail(`output ${i} has shape `, `[${out.shape.join()}], want [${want.shape.join()}]`)
      continue
    }
    const got = yield out
    const exact = want.dtype === 'float' ? tolerance('output') : ([0, 0] as const)
    const found = mismatch(got, want.data, exact, { slack: slackOfOutput, signedZero: true })
    // Overflow and underflow in float32 are right where the reference has them too.
    const other = f32?.outputs[i]
    if (found !== undefined && !(other && mismatch(got, other, tolerance('output')) === undefined))
      fail(`output ${i}`, found)
  }
  if (!c.checks.includes('grads')) return failures

  const differentiated = c.inputs.flatMap((input, i) => (c.grads[i] && !('sameAs' in input) ? [i] : []))
  if (differentiated.length === 0) return failures
  const primals = differentiated.map((i) => xs[i]!)
  const cotangents = c.cotangents.flatMap((cotangent) => (cotangent ? [made(cotangent)] : []))
  /** The differentiable outputs as a function of the differentiated inputs. */
  const f = (...ys: Tensor[]): Tensor[] => {
    const all: Tensor[] = []
    c.inputs.forEach((input, i) => {
      const k = differentiated.indexOf(i)
      all.push(k >= 0 ? ys[k]! : 'sameAs' in input ? all[input.sameAs]! : xs[i]!)
    })
    return outputsOf(c, all).filter((_, i) => c.cotangents[i] !== null)
  }

  const [, pullback] = vjp(f, primals)
  const grads = pullback(cotangents)
  const values: ArrayLike<number>[] = []
  for (const g of grads) values.push(yield g)
  const compared = (wanted: VectorCase['grads']): string | undefined => {
    for (const [k, i] of differentiated.entries()) {
      const want = wanted[i]!
      const got = grads[k]!
      if (String(got.shape) !== String(want.shape))
        return ` ${c.inputs[i]!.name} has shape [${got.shape.join()}]`
      const found = mismatch(values[k]!, want.data, tolerance('grads'), { slack: slackOfGrads })
      const other = wanted === c.grads ? f32?.grads[i] : undefined
      if (found !== undefined && !(other && mismatch(values[k]!, other, tolerance('grads')) === undefined))
        return ` ${c.inputs[i]!.name}${found}`
    }
    return undefined
  }
  const conventions = [c.grads, ...(c.gradsAlt ?? []).map((alternative) => alternative.grads)].map(compared)
  if (conventions.every((found) => found !== undefined)) fail('gradient', conventions[0])
  if (!c.checks.includes('hvp')) return failures

  const [, pullbackOfGrads] = vjp((...ys: Tensor[]) => vjp(f, ys)[1](cotangents), primals)
  const products = pullbackOfGrads(differentiated.map((i) => made(c.hvp!.tangents[i]!)))
  for (const [k, i] of differentiated.entries()) {
    const want = c.hvp!.result[i]!.data
    const found = mismatch(yield products[k]!, want, tolerance('hvp'), { slack: 10 * slackOfGrads })
    fail(`Hessian-vector product ${c.inputs[i]!.name}`, found)
  }
  return failures
}
