import {
  abs,
  add,
  clip,
  elu,
  exp,
  gelu,
  greater,
  greaterEqual,
  hardSigmoid,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  mish,
  mul,
  neg,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
  sqrt,
  square,
  sub,
  tanh,
  type Tensor,
  where,
} from '@adjoint/core'
import { Names } from './names.js'
import type { ActivationName } from './types.js'

type Activation = (x: Tensor) => Tensor

const identity: Activation = (x) => x

/** Under Keras' names, with its defaults. */
const table: Readonly<Record<ActivationName, Activation> & Record<string, Activation>> = {
  linear: identity,
  relu: (x) => relu(x),
  relu6: (x) => relu6(x),
  leaky_relu: (x) => leakyRelu(x, 0.2),
  elu: (x) => elu(x, 1),
  celu: (x) => elu(x, 1),
  selu: (x) => selu(x),
  gelu: (x) => gelu(x, false),
  silu: (x) => silu(x),
  swish: (x) => silu(x),
  mish: (x) => mish(x),
  sigmoid: (x) => sigmoid(x),
  log_sigmoid: (x) => logSigmoid(x),
  hard_sigmoid: (x) => hardSigmoid(x),
  hard_silu: (x) => mul(x, hardSigmoid(x)),
  hard_swish: (x) => mul(x, hardSigmoid(x)),
  tanh: (x) => tanh(x),
  hard_tanh: (x) => clip(x, -1, 1),
  tanh_shrink: (x) => sub(x, tanh(x)),
  hard_shrink: (x) => where(greater(abs(x), 0.5), x, 0),
  soft_shrink: (x) => sub(relu(sub(x, 0.5)), relu(sub(neg(x), 0.5))),
  softmax: (x) => softmax(x, -1),
  log_softmax: (x) => logSoftmax(x, -1),
  softplus: (x) => softplus(x),
  softsign: (x) => softsign(x),
  squareplus: (x) => mul(add(x, sqrt(add(square(x), 4))), 0.5),
  /** 0 up to -1, (x + 1)² / 4 between, x from 1 on. */
  sparse_plus: (x) => where(greaterEqual(x, 1), x, mul(square(relu(add(x, 1))), 0.25)),
  sparse_sigmoid: (x) => clip(mul(add(x, 1), 0.5), 0, 1),
  exponential: (x) => exp(x),
}

const names = new Names<Activation>('activation', 'a function', table)

/**
 * The activation that a layer was given: by Keras' name, also in camel case, or as a function.
 * @returns its name in Keras' spelling (a function's own name) and the function.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveActivation(activation: unknown): { readonly name: string; readonly fn: Activation } {
  if (typeof activation === 'function')
    // What a user's function returns is checked where it is used.
    return { name: activation.name, fn: activation as Activation }
  const { name, value } = names.get(activation)
  return { name, fn: value }
}

/** What a layer's config tells of its activation: the name of one of Keras', a function of the user's own itself. */
export function activationConfig({ name, fn }: { readonly name: string; readonly fn: Activation }): unknown {
  return Object.hasOwn(table, name) && table[name] === fn ? name : fn
}
