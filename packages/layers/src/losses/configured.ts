import { Tensor, ValueError, zeros } from '@adjoint/core'
import { isRecord, show, withoutRecording } from '@adjoint/core/extend'
import { checkReduction, type Reduction } from './reduction.js'

/** A loss with its options: takes targets and predictions of one shape to a value for each sample. */
export interface ConfiguredLoss {
  (yTrue: Tensor, yPred: Tensor): Tensor
  /** The name in Keras' spelling, and the options that were given. */
  readonly config: Readonly<Record<string, unknown>>
}

type Given<O> = Omit<O, 'reduction'>

/** A loss to be called on tensors, or, with options alone, to be trained on. */
export interface LossFactory<O> {
  (yTrue: Tensor, yPred: Tensor, options?: O): Tensor
  (options?: Given<O> & { readonly reduction?: Reduction }): ConfiguredLoss
}

type CoreLoss = (yTrue: Tensor, yPred: Tensor, options?: never) => Tensor
type OptionsOf<F> = F extends (yTrue: Tensor, yPred: Tensor, options?: infer O) => Tensor
  ? NonNullable<O>
  : never

/** What training knows of a loss with options. */
export interface Configured {
  /** The loss without its options. */
  readonly base: object
  readonly reduction: Reduction | undefined
  /** Whether it is taken along the last axis, as training expects of targets. */
  readonly isAlongLast: boolean
}

const configured = new WeakMap<object, Configured>()
const ofCore = new WeakMap<object, object>()

/** The loss here that a function of the core is. */
export function lossOfCore(fn: object): object | undefined {
  return ofCore.get(fn)
}

export function configuredOf(loss: object): Configured | undefined {
  return configured.get(loss)
}

/**
 * A loss in both forms. Options are checked when they are given, not when the loss is first computed.
 * @param keras its name in Keras' spelling.
 * @param sample targets and predictions that it takes, to try options on.
 */
export function lossFactory<F extends CoreLoss>(
  keras: string,
  of: F,
  sample: () => readonly [Tensor, Tensor] = anyAxes,
): LossFactory<OptionsOf<F>> {
  const base = (...args: [yTrue?: unknown, yPred?: unknown, options?: never]): unknown => {
    const [first, second] = args
    if (args.length > 1 || first instanceof Tensor) return of(first as Tensor, second as Tensor, args[2])
    return withOptions(first ?? {})
  }
  const withOptions = (given: unknown): ConfiguredLoss => {
    if (!isRecord(given))
      throw new ValueError(
        `${of.name}: expected targets and predictions as tensors, or options, got ${show(given)}`,
      )
    const { reduction, ...options } = given as { readonly reduction?: Reduction }
    const checked = reduction === undefined ? undefined : checkReduction(of.name, reduction)
    withoutRecording(() => of(...sample(), options as never))
    const loss = (yTrue: Tensor, yPred: Tensor): Tensor => of(yTrue, yPred, options as never)
    const config = { name: keras, ...options, ...(checked !== undefined && { reduction: checked }) }
    const made = Object.defineProperty(Object.assign(loss, { config }), 'name', { value: of.name })
    const { axis = -1 } = options as { readonly axis?: unknown }
    configured.set(made, { base, reduction: checked, isAlongLast: axis === -1 })
    return made
  }
  ofCore.set(of, base)
  return Object.defineProperty(base, 'name', { value: of.name }) as LossFactory<OptionsOf<F>>
}

/** As many axes as there may be, so that any axis is one. */
function anyAxes(): [Tensor, Tensor] {
  const x = zeros([1, 1, 1, 1, 1, 1, 1, 1])
  return [x, x]
}
