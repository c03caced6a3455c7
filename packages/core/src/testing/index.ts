// For checking gradients of one's own functions: needs nothing but core; fast-check is handed in by the caller.
export {
  type Arbitraries,
  arbitraries,
  type FastCheck,
  type ShapeOptions,
  type TensorOptions,
} from './arbitraries.js'
export { checkGradients, type CheckGradientsOptions } from './check-gradients.js'
export { GradientError } from './gradient-error.js'
export { type Program, type ProgramOptions } from './program.js'
