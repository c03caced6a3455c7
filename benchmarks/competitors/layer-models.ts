// B1 to B4 in Adjoint's public layers, compiled.
import { floatx, type Tensor, tensor } from '@adjoint/core'
import {
  adam,
  concatenate,
  dense,
  embedding,
  flatten,
  input,
  type LayerBase,
  type LossLike,
  type Model,
  model,
  type SymbolicTensor,
} from '@adjoint/layers'
import { LAYERS, type ModelName } from '../models.js'
import type { Input, Inputs } from '../protocol.js'
import { BETA1, BETA2, EPSILON, LEARNING_RATE } from './adam.js'

/** An input as a tensor: ids are whole numbers, all else what {@link floatx} says. */
export function columnOf(name: string, { values, shape }: Input): Tensor {
  return tensor(values, { shape, dtype: name === 'id' ? 'int32' : floatx() })
}

/** A compiled model that begins with the given weights. `plan`: whether its steps may be one. */
export function modelOf(which: ModelName, inputs: Inputs, plan: boolean = true): Model {
  const { build, loss } = BUILDERS[which]
  const { ends, layers } = build()
  const made = model(ends).compile({
    optimizer: adam({ learningRate: LEARNING_RATE, beta1: BETA1, beta2: BETA2, epsilon: EPSILON }),
    loss,
    plan,
  })
  LAYERS[which].forEach((names, i) =>
    layers[i]!.setWeights(names.map((name) => columnOf(name, inputs[name]!))),
  )
  return made
}

interface Built {
  readonly ends: { readonly inputs: readonly SymbolicTensor[]; readonly outputs: readonly SymbolicTensor[] }
  /** Those with weights, in the order of {@link LAYERS}. */
  readonly layers: readonly LayerBase[]
}

const relu = { activation: 'relu' } as const

const BUILDERS: Readonly<
  Record<ModelName, { readonly loss: readonly LossLike[]; readonly build: () => Built }>
> = {
  b1: {
    loss: ['mse'],
    build() {
      const inputs = [input({ shape: [10], name: 'x1' }), input({ shape: [5], name: 'x2' })] as const
      const [first, second, last] = [dense(64, relu), dense(32, relu), dense(1)] as const
      const outputs = [last(concatenate([first(inputs[0]), second(inputs[1])]))]
      return { ends: { inputs, outputs }, layers: [first, second, last] }
    },
  },
  b2: {
    loss: ['binary_crossentropy'],
    build() {
      const x = input({ shape: [10], name: 'x' })
      const id = input({ shape: [1], name: 'id', dtype: 'int32' })
      const [first, table, last] = [
        dense(64, relu),
        embedding(100, 32),
        dense(1, { activation: 'sigmoid' }),
      ] as const
      const outputs = [last(concatenate([first(x), flatten()(table(id))]))]
      return { ends: { inputs: [x, id], outputs }, layers: [first, table, last] }
    },
  },
  b3: {
    loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'],
    build() {
      const x = input({ shape: [20], name: 'x' })
      const [d1, d2, d3] = [dense(128, relu), dense(64, relu), dense(32, relu)] as const
      const h2 = d2(d1(x))
      const h3 = d3(h2)
      const [a, b, c] = [
        dense(1),
        dense(1, { activation: 'sigmoid' }),
        dense(5, { activation: 'softmax' }),
      ] as const
      const outputs = [a(h2), b(h3), c(concatenate([h2, h3]))]
      return { ends: { inputs: [x], outputs }, layers: [d1, d2, d3, a, b, c] }
    },
  },
  b4: {
    loss: ['categorical_crossentropy'],
    build() {
      const x = input({ shape: [784], name: 'x' })
      const [d1, d2, d3] = [dense(256, relu), dense(128, relu), dense(10, { activation: 'softmax' })] as const
      return { ends: { inputs: [x], outputs: [d3(d2(d1(x)))] }, layers: [d1, d2, d3] }
    },
  },
}
