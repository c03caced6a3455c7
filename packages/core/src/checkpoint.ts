import { backward } from './backward.js'
import { typeName, ValueError } from './errors.js'
import { checkFunction } from './options.js'
import { isRecording, positionOf, record, type Recorded, Scope } from './tape.js'
import { type Tensor, type Variable, zeros } from './tensor.js'
import { checkOutput, isTensor, withRecordingIfNested } from './transforms.js'

/**
 * `f` without its intermediate values being kept for the gradient: they are computed again when the gradient is
 * taken (Chen et al. 2016). Twice the work of `f`, and memory for its inputs and output only. `f` must compute the
 * same again: random numbers need a seed of their own.
 * @example const deep = checkpoint((x: Tensor) => block2(block1(x)))
 */
export function checkpoint<A extends readonly Tensor[]>(
  f: (...inputs: A) => Tensor,
): (...inputs: A) => Tensor {
  checkFunction('checkpoint', f)
  return (...inputs) => {
    for (const x of inputs)
      if (!isTensor(x)) throw new ValueError(`checkpoint: inputs must be tensors, got ${typeName(x)}`)
    if (!isRecording()) return f(...inputs)
    const values = inputs.map((x) => x.read())
    const { out, outside, variables } = runOnce(f, values as unknown as A)
    // Scopes around this one see only now that the variables are used.
    for (const v of variables) v.read()
    record(recomputing(f, values.length), [...values, ...outside], null, out)
    return out
  }
}

interface Run {
  readonly out: Tensor
  readonly outside: readonly Tensor[]
  readonly variables: readonly Variable[]
}

/** Runs `f`, forgets how, and tells which tracked tensors and variables from outside it used. */
function runOnce<A extends readonly Tensor[]>(f: (...inputs: A) => Tensor, inputs: A): Run {
  const scope = new Scope({ watchesVariables: true, isolated: true })
  try {
    const made: unknown = f(...(inputs.map((x) => scope.rename(x)) as unknown as A))
    checkOutput('checkpoint', made)
    const { entries, start } = scope.segment()
    const outside = new Set<Tensor>()
    entries.forEach((entry, at) => {
      if (at < inputs.length) return
      entry.inputs.forEach((x, i) => {
        const parent = entry.parents[i]!
        if (parent < start && (parent >= 0 || entry.row === undefined)) outside.add(x)
      })
    })
    return { out: made.detach(), outside: [...outside], variables: scope.variables() }
  } finally {
    scope.close({ forget: true })
  }
}

/** A row whose gradient runs `f` again and differentiates that. The first `count` inputs are f's arguments. */
function recomputing<A extends readonly Tensor[]>(f: (...inputs: A) => Tensor, count: number): Recorded {
  const known = new WeakMap<object, readonly (Tensor | undefined)[]>()
  return {
    name: 'checkpoint',
    args: ['xs'],
    vjp: {
      xs(context, at) {
        let cotangents = known.get(context)
        if (cotangents === undefined) {
          cotangents = differentiateAgain(
            f,
            context.inputs.slice(0, count) as unknown as A,
            context.inputs.slice(count),
            context.g,
          )
          known.set(context, cotangents)
        }
        const primal = context.inputs[at]!
        return cotangents[at] ?? zeros(primal.shape, primal.dtype)
      },
    },
  }
}

function differentiateAgain<A extends readonly Tensor[]>(
  f: (...inputs: A) => Tensor,
  inputs: A,
  outside: readonly Tensor[],
  g: Tensor,
): (Tensor | undefined)[] {
  const scope = new Scope()
  try {
    const aliases = inputs.map((x) => scope.rename(x))
    const watched = outside.map((x) => scope.watch(x, x))
    const out = f(...(aliases as unknown as A))
    const position = positionOf(out)
    const seeds = position < 0 ? [] : [{ position, cotangent: g }]
    return withRecordingIfNested(scope, () =>
      backward(scope.segment(), seeds, [...aliases.map(positionOf), ...watched]),
    )
  } finally {
    scope.close()
  }
}
