/// <reference lib="esnext.disposable" />
import { show, TapeError } from './errors.js'
import { checkOptions } from './options.js'
import { formatSegment } from './tape-text.js'
import { formatShape } from './shape.js'
import { positionOf, Scope } from './tape.js'
import { ones, type Tensor, Variable } from './tensor.js'
import {
  checkDifferentiable,
  checkOutput,
  checkScalar,
  gradientsBy,
  isTensor,
  tensorsLike,
  type TensorTree,
} from './transforms.js'
import { formatPath, leavesOf, mapTree, replaceLeaves } from './tree.js'

/** The gradients of a structure of tensors: the same structure, variables replaced by tensors. */
export type Gradients<T> = T extends Tensor ? Tensor : { -readonly [K in keyof T]: Gradients<T[K]> }

/** Options of {@link gradientTape}. */
export interface TapeOptions {
  /** Whether `gradient` may be called more than once; the tape then records until it is closed. */
  readonly persistent?: boolean
}

/** A tape that is open: ops are recorded until it is closed, at the end of the block with `using`. */
export class GradientTape {
  readonly #scope = new Scope({ watchesVariables: true })
  readonly #persistent: boolean
  #crossedAwait = false

  /** @internal Use {@link gradientTape}. */
  constructor({ persistent = false }: TapeOptions) {
    this.#persistent = persistent
    closeAfterThisJob(this)
  }

  /** Ends the recording of a tape that was still open when the caller's synchronous code ended. @internal */
  abandon(): void {
    this.#crossedAwait = this.#scope.isOpen
    this.#scope.close()
  }

  /** Also differentiates by these tensors. Trainable variables are watched by themselves when they are read. */
  watch(tensors: TensorTree): void {
    this.#check('watch')
    for (const x of leavesOf<Tensor>(tensors, isTensor)) {
      checkDifferentiable('gradientTape.watch', 'what is watched', x)
      if (!this.#scope.watches(x)) this.#scope.watch(x, x.read())
    }
  }

  /**
   * The gradients of `y` by `xs`, in the structure of `xs`; zeros where y does not depend on one. Each must be a
   * trainable variable, or watched, or computed from such.
   * Unless the tape is persistent this closes it.
   * @param cotangent of y; needed unless y is a scalar.
   * @throws TapeError when the tape was used up or crossed an await, or does not know one of `xs`; ValueError for a
   * y that is no scalar.
   */
  gradient<const T extends Tensor | readonly Tensor[] | Readonly<Record<string, unknown>>>(
    y: Tensor,
    xs: T,
    cotangent?: Tensor,
  ): Gradients<T> {
    this.#check('gradient')
    checkOutput('gradientTape.gradient', y)
    if (cotangent === undefined) checkScalar('gradientTape.gradient', y)
    else tensorsLike('gradientTape.gradient', 'the cotangent', cotangent, y, 'the value')
    const sources: Tensor[] = []
    mapTree(xs as TensorTree, isTensor, (x, path) => {
      this.#checkSource(x, formatPath('xs', path))
      sources.push(x)
    })
    try {
      const found = gradientsBy(this.#scope, y, cotangent ?? ones([], y.dtype), sources)
      return replaceLeaves<Tensor, Tensor>(xs as TensorTree, isTensor, found) as Gradients<T>
    } finally {
      if (!this.#persistent) this.close()
    }
  }

  /** @throws TapeError for what the tape has not seen: its gradient is not known, which is not the same as zero. */
  #checkSource(x: unknown, what: string): void {
    checkDifferentiable('gradientTape.gradient', what, x)
    const tensor = x as Tensor
    const isSeen = this.#scope.watches(tensor) || positionOf(tensor) >= this.#scope.start
    if (isSeen || (tensor instanceof Variable && tensor.trainable)) return
    const name = tensor instanceof Variable && tensor.name !== '' ? show(tensor.name) : what
    const which =
      tensor instanceof Variable
        ? `${name}, a variable that is not trainable`
        : `${name}, of shape ${formatShape(tensor.shape)}`
    throw new TapeError(
      `gradientTape.gradient: the tape does not watch ${which}; call tape.watch(…) on it before computing with it`,
      { op: 'gradientTape.gradient', shapes: [tensor.shape] },
    )
  }

  /** Ends the recording. `using tape = gradientTape()` does it by itself. */
  close(): void {
    stillOpen.delete(this)
    this.#scope.close()
  }

  /** What was recorded so far, one line for each op; the console shows the same. */
  toString(): string {
    if (!this.#scope.isOpen) return 'gradientTape (released)'
    return formatSegment(this.#scope.segment()) || 'gradientTape (nothing recorded)'
  }

  #check(method: string): void {
    if (this.#crossedAwait)
      throw new TapeError(
        `gradientTape.${method}: the tape crossed an await, and what ran in between was not recorded; ` +
          'keep the forward pass and gradient() in one synchronous block',
      )
    if (!this.#scope.isOpen)
      throw new TapeError(
        `gradientTape.${method}: the tape is already released; use gradientTape({ persistent: true }) to take several gradients`,
      )
  }
}

// One microtask for all tapes of a job: one for each would hold them all until a long synchronous loop ends.
const stillOpen = new Set<GradientTape>()
let isAwaited = false

function closeAfterThisJob(tape: GradientTape): void {
  stillOpen.add(tape)
  if (isAwaited) return
  isAwaited = true
  void Promise.resolve().then(() => {
    isAwaited = false
    for (const open of stillOpen) open.abandon()
    stillOpen.clear()
  })
}

export interface GradientTape extends Disposable {}
Object.defineProperty(GradientTape.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: GradientTape) {
    return this.toString()
  },
})
if (typeof Symbol.dispose === 'symbol')
  Object.defineProperty(GradientTape.prototype, Symbol.dispose, {
    value(this: GradientTape) {
      this.close()
    },
  })

/**
 * Opens a tape that records what is computed, for gradients by variables and watched tensors.
 * @example
 * using tape = gradientTape()
 * const loss = model(x).sub(y).square().mean()
 * const grads = tape.gradient(loss, model.trainableVariables)
 */
export function gradientTape(options: TapeOptions = {}): GradientTape {
  return new GradientTape(checkOptions('gradientTape', options, ['persistent']))
}
