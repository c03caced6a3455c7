export type { Backend } from './backend.js'
export { setBackend, withBackend } from './backend.js'
export type { DType, FloatDType, HostArray, NumericArray, NumericDType, TypedArray } from './dtype.js'
export { floatx, setFloatx } from './dtype.js'
export {
  AdjointError,
  BackendError,
  DataError,
  DisposedError,
  DTypeError,
  type ErrorDetails,
  FormatError,
  GraphError,
  LimitError,
  NonFiniteError,
  ShapeError,
  TapeError,
  ValueError,
  WorkerError,
} from './errors.js'
export { memory, type MemoryInfo } from './memory.js'
export type { Operand } from './op.js'
export * from './ops/index.js'
export type { Dim, Shape, Sizes } from './shape.js'
export { random, setSeed } from './random.js'
export { keep, scope } from './scope.js'
export {
  arange,
  eye,
  full,
  linspace,
  type Nested,
  ones,
  onesLike,
  scalar,
  tensor,
  Tensor,
  type TensorLike,
  type TensorOptions,
  Variable,
  variable,
  zeros,
  zerosLike,
} from './tensor.js'
export { detectAnomalies } from './anomaly.js'
export { checkpoint } from './checkpoint.js'
export { type Cotangents, type CustomContext, customGradient } from './custom-gradient.js'
export { hessian, hvp, jacobian, jvp } from './derivatives.js'
export { GradientTape, gradientTape, type Gradients, type TapeOptions } from './gradient-tape.js'
export { type ArgOptions, grad, type TensorTree, valueAndGrad, valueAndGrads, vjp } from './transforms.js'
export type { Tree } from './tree.js'
export { compile, type CompiledFunction } from './plan/compile.js'
export { setThreads } from './threads/set-threads.js'
export { type Determinism, setDeterminism } from './determinism.js'
