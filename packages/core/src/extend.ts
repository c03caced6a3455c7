// For those who build on core: backends, new ops, layer libraries. More may change here than in the main entry.
export { abstractBackend } from './abstract.js'
export { isWatchingForAnomalies } from './anomaly.js'
export { markOwnCode } from './anomaly.js'
export { type Aval, avalOf } from './aval.js'
export {
  baseBackend,
  cpuBackend,
  currentBackend,
  type Handle,
  isThenable,
  type Kernel,
  type MemoryScope,
  readNow,
  type ReduceOp,
  type Stored,
} from './backend.js'
export { allocate, BYTES, checkDType, DTYPES, isFloat, promote } from './dtype.js'
export { plainBackend } from './cpu/index.js'
export { didYouMean, either, nearest, show, typeName } from './errors.js'
export { parse } from './expr/parse.js'
export { ScalarFunction } from './expr/scalar.js'
export type { Expr, Function1, Function2 } from './expr/tree.js'
export type { BinaryName, OtherMethods, TensorMethods, UnaryName } from './methods.js'
export {
  type AnyRow,
  APPLY,
  apply,
  type Binary,
  binary,
  call,
  composite,
  composites,
  defineOp,
  elementwise,
  isStaged,
  type Like,
  type Operand,
  type Result,
  type Row,
  rows,
  type Rule,
  type RuleContext,
  type Staged,
  type STAGED,
  type Unary,
  unary,
  withoutValues,
} from './op.js'
export { now, warn } from './host.js'
export { methods, type MethodName } from './ops/index.js'
export { broadcastShapes, checkAxis, checkShape, formatShape, sameShape, sizeOf, stridesOf } from './shape.js'
export type { SlicedShape, SliceWhere } from './slice-text.js'
export { inScope } from './scope.js'
export { withoutRecording } from './tape.js'
export { disposed, fromHost, unflatten } from './tensor.js'
export { formatPath, isRecord, leavesOf, mapTree, replaceLeaves } from './tree.js'
export { randomState, type RandomState, setRandomState } from './random.js'
export { permutation as permutationOf, randomBits } from './rng.js'
export type { Foreseen } from './plan/foreseen.js'
export {
  formatValue,
  formatVariable,
  inputsOf,
  neededForResults,
  type Program,
  type Later,
  type Replay,
  rootOf,
  type ValueId,
} from './plan/program.js'
export { simplify } from './plan/simplify.js'
export { valuesOf } from './plan/home.js'
export { type StepFunctions, StepPlan } from './plan/step.js'
export * as scalarMath from './math/engine.js'
