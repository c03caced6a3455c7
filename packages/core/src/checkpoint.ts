import { backward } from './backward.js'
import { cotangentsOf, recordAll } from './bundle.js'
import { checkFunction } from './options.js'
import { isRecording, positionOf, type Recorded, Scope } from './tape.js'
import { type Tensor, type Variable, zeros } from './tensor.js'
import { checkedOutputs, isTensor, type TensorTree, tensorsIn, withRecordingIfNested } from './transforms.js'
import { replaceLeaves } from './tree.js'

/**
 * `f` without its intermediate values being kept for the gradient: they are computed again when the gradient is
 * taken (Chen et al. 2016). Twice the work of `f`, and memory for its inputs and output only, which may be pytrees.
 * `f` must compute the same again: random numbers need a seed of their own.
 * @example const deep = checkpoint((x: Tensor) => block2(block1(x)))
 */
export function checkpoint<A extends readonly unknown[], R extends TensorTree>(
  f: (...inputs: A) => R,
): (...inputs: A) => R {
  checkFunction('checkpoint', f)
  return (...inputs) => {
    const values = tensorsIn('checkpoint', inputs, 'inputs').map((x) => x.read())
    if (!isRecording()) return f(...inputs)
    // From tensors to tensors: structures are put on and taken off here.
    const flat = (tensors: readonly Tensor[]): R =>
      f(...(replaceLeaves(inputs, isTensor, tensors) as unknown as A))
    const { made, outs, outside, variables } = runOnce(flat, values)
    // Scopes around this one see only now that the variables are used.
    for (const v of variables) v.read()
    const results = recordAll(recomputing(flat, values.length, outs), [...values, ...outside], outs)
    return replaceLeaves(made, isTensor, results) as R
  }
}

interface Run<R> {
  readonly made: R
  readonly outs: readonly Tensor[]
  readonly outside: readonly Tensor[]
  readonly variables: readonly Variable[]
}

/** Runs `f`, forgets how, and tells which tracked tensors and variables from outside it used. */
function runOnce<R>(f: (inputs: readonly Tensor[]) => R, inputs: readonly Tensor[]): Run<R> {
  const scope = new Scope({ watchesVariables: true, isolated: true })
  try {
    const made = f(inputs.map((x) => scope.rename(x)))
    const results = checkedOutputs('checkpoint', made)
    const { entries, start } = scope.segment()
    const outside = new Set<Tensor>()
    entries.forEach((entry, at) => {
      if (at < inputs.length) return
      entry.inputs.forEach((x, i) => {
        const parent = entry.parents[i]!
        if (parent < start && (parent >= 0 || entry.row === undefined)) outside.add(x)
      })
    })
    const outs = results.map((out) => out.alias())
    return { made, outs, outside: [...outside], variables: scope.variables() }
  } finally {
    scope.close({ forget: true })
  }
}

/** A row whose gradient runs `f` again and differentiates that. The first `count` inputs are f's arguments. */
function recomputing(
  f: (inputs: readonly Tensor[]) => unknown,
  count: number,
  outs: readonly Tensor[],
): Recorded {
  const known = new WeakMap<object, readonly (Tensor | undefined)[]>()
  return {
    name: 'checkpoint',
    args: ['xs'],
    mayKeep: true,
    vjp: {
      xs(context, at) {
        let cotangents = known.get(context)
        if (cotangents === undefined) {
          const { inputs, g } = context
          cotangents = differentiateAgain(
            f,
            inputs.slice(0, count),
            inputs.slice(count),
            cotangentsOf(g, outs),
          )
          known.set(context, cotangents)
        }
        const primal = context.inputs[at]!
        return cotangents[at] ?? zeros(primal.shape, primal.dtype)
      },
    },
  }
}

function differentiateAgain(
  f: (inputs: readonly Tensor[]) => unknown,
  inputs: readonly Tensor[],
  outside: readonly Tensor[],
  cotangents: readonly Tensor[],
): (Tensor | undefined)[] {
  const scope = new Scope()
  try {
    const aliases = inputs.map((x) => scope.rename(x))
    const watched = outside.map((x) => scope.watch(x, x))
    const seeds = checkedOutputs('checkpoint', f(aliases)).flatMap((out, i) => {
      const position = positionOf(out)
      return position < 0 ? [] : [{ position, cotangent: cotangents[i]! }]
    })
    return withRecordingIfNested(scope, () =>
      backward(scope.segment(), seeds, [...aliases.map(positionOf), ...watched]),
    )
  } finally {
    scope.close()
  }
}
