import { currentBackend, isThenable } from './backend.js'
import { BackendError, typeName, ValueError } from './errors.js'
import { checkFunction } from './options.js'
import { isTaping } from './tape.js'
import { Tensor } from './tensor.js'
import { leavesOf, type Tree } from './tree.js'

/**
 * Runs `f`, and then gives back what was made in it, but for the tensors of its result, those that variables hold and
 * those that were kept. Without a scope of its own where a tape is open, which may need all of it.
 * @param atOnce whether nobody else can have come by any of it.
 */
export function inScope<R>(
  f: () => R,
  results: (made: R) => readonly Tensor[],
  { atOnce = false }: { readonly atOnce?: boolean } = {},
): R {
  const backend = currentBackend()
  if (backend.openScope === undefined || isTaping()) return f()
  const opened = backend.openScope()
  try {
    const made = opened.run(f)
    for (const x of results(made)) opened.keep(x.handle)
    return made
  } finally {
    opened.close(atOnce)
  }
}

/** The tensors in a result of any kind. */
export function tensorsWithin(result: unknown): Tensor[] {
  const isTensor = (x: unknown): x is Tensor => x instanceof Tensor
  return leavesOf(result as Tree<Tensor>, isTensor).filter(isTensor)
}

/**
 * Runs `f` and returns its result; the GPU's memory of all else that was made in it is given back when the next such
 * call ends. Never needed where there is an `await` now and then: then it comes back by itself. A long loop without one
 * is what this is for.
 * @throws BackendError when `f` is asynchronous.
 * @example for (let i = 0; i < 10_000; i++) scope(() => w.assign(w.sub(grad(loss)(w).mul(0.1))))
 */
export function scope<R>(f: () => R): R {
  checkFunction('scope', f)
  return inScope(() => {
    const result = f()
    if (isThenable(result))
      throw new BackendError('scope: the function is asynchronous; use it around what is synchronous', {
        op: 'scope',
      })
    return result
  }, tensorsWithin)
}

/**
 * Has a tensor outlive the gradient, training step or {@link scope} that it is made in, and returns it.
 * @throws ValueError for what is no tensor.
 */
export function keep<T extends Tensor>(x: T): T {
  if (!(x instanceof Tensor))
    throw new ValueError(`keep: expected a tensor, got ${typeName(x)}`, { op: 'keep' })
  x.backend.keep?.(x.handle)
  return x
}
