import type { NumericDType } from './dtype.js'
import type { CumulativeOptions } from './ops/cumulative.js'
import type { PadOptions } from './ops/joining.js'
import type { Axes } from './ops/reduce.js'
import type { StridedSliceOptions } from './ops/slicing.js'
import type { MomentOptions, NormOptions } from './ops/statistics.js'
import type { Sizes } from './shape.js'

/** Ops of one tensor that are methods, `x.exp()`. ops/index.ts checks that the list is whole. */
export type UnaryName =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'square'
  | 'reciprocal'
  | 'sqrt'
  | 'rsqrt'
  | 'exp'
  | 'exp2'
  | 'expm1'
  | 'log'
  | 'log2'
  | 'log10'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'relu'
  | 'relu6'
  | 'selu'
  | 'sigmoid'
  | 'logSigmoid'
  | 'softplus'
  | 'softsign'
  | 'silu'
  | 'mish'
  | 'erf'
  | 'erfc'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'trunc'
  | 'logicalNot'
  | 'isNaN'
  | 'isFinite'
  | 'isInf'

/** Ops of two tensors that are methods, `x.add(y)`. */
export type BinaryName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'squaredDifference'
  | 'pow'
  | 'maximum'
  | 'minimum'
  | 'mod'
  | 'fmod'
  | 'floorDiv'
  | 'hypot'
  | 'xlogy'
  | 'logAddExp'
  | 'atan2'
  | 'equal'
  | 'notEqual'
  | 'less'
  | 'lessEqual'
  | 'greater'
  | 'greaterEqual'
  | 'logicalAnd'
  | 'logicalOr'
  | 'logicalXor'

/** Methods with arguments of their own, but for `slice`, whose type tells shapes. `Same` keeps the shape, `Any` may not. */
export interface OtherMethods<Same, Any, Other> {
  /** x to a fixed power. */
  powScalar(exponent: number): Same
  leakyRelu(alpha?: number): Same
  elu(alpha?: number): Same
  gelu(approximate?: boolean): Same
  hardSigmoid(variant?: 'keras3' | 'keras2'): Same
  clip(min: number | null, max: number | null): Same
  cast(dtype: NumericDType): Same
  softmax(axis?: number): Same
  logSoftmax(axis?: number): Same
  sum(axis?: Axes, keepDims?: boolean): Any
  mean(axis?: Axes, keepDims?: boolean): Any
  max(axis?: Axes, keepDims?: boolean): Any
  min(axis?: Axes, keepDims?: boolean): Any
  prod(axis?: Axes, keepDims?: boolean): Any
  logSumExp(axis?: Axes, keepDims?: boolean): Any
  variance(options?: Axes | MomentOptions, keepDims?: boolean): Any
  std(options?: Axes | MomentOptions, keepDims?: boolean): Any
  norm(options?: NormOptions): Any
  any(axis?: Axes, keepDims?: boolean): Any
  all(axis?: Axes, keepDims?: boolean): Any
  argMax(axis?: number): Any
  argMin(axis?: number): Any
  matmul(b: Other, transposeA?: boolean, transposeB?: boolean): Any
  reshape(shape: Sizes): Any
  expandDims(axis: number): Any
  squeeze(axis?: number | readonly number[] | null): Any
  transpose(perm?: readonly number[] | null): Any
  broadcastTo(shape: Sizes): Any
  cumsum(options?: number | CumulativeOptions): Same
  cumprod(options?: number | CumulativeOptions): Same
  stridedSlice(options: StridedSliceOptions): Any
  flip(axes?: number | readonly number[] | null): Same
  pad(options: PadOptions): Any
  tile(reps: readonly number[]): Any
  repeat(repeats: number, axis?: number | null): Any
  roll(shift: number | readonly number[], axis?: number | readonly number[] | null): Same
  tril(k?: number): Same
  triu(k?: number): Same
  diagonal(offset?: number): Any
}

/** The methods of a tensor: every op of the table's method families, called on its first argument. */
export interface TensorMethods<T, Other>
  extends OtherMethods<T, T, Other>, Record<UnaryName, () => T>, Record<BinaryName, (y: Other) => T> {}
