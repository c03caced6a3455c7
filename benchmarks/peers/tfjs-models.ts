// B1 to B4 in tfjs' layers, compiled. Only the part of its types that is used is written down here, so that this file
// compiles without the peers being installed.
import { BETA1, BETA2, EPSILON, LEARNING_RATE } from '../competitors/adam.js'
import { LAYERS, type ModelName } from '../models.js'
import type { Inputs } from '../protocol.js'

interface Tensor {
  dispose(): void
}
interface Symbolic {
  readonly shape: readonly (number | null)[]
}
interface Layer {
  apply(x: Symbolic | readonly Symbolic[]): Symbolic
  setWeights(weights: readonly Tensor[]): void
}
interface Optimizer {
  applyGradients(grads: Record<string, unknown>): void
  dispose(): void
}
export interface TfModel {
  compile(options: { optimizer: Optimizer; loss: readonly string[] }): void
  trainOnBatch(x: readonly Tensor[], y: readonly Tensor[]): Promise<number | readonly number[]>
  fit(x: unknown, y: unknown, options: object): Promise<{ readonly history: { readonly loss: number[] } }>
  dispose(): void
}
export interface TfLayers {
  tensor(values: Float32Array, shape: readonly number[]): Tensor
  readonly input: (options: { shape: readonly number[] }) => Symbolic
  model(ends: { inputs: readonly Symbolic[]; outputs: readonly Symbolic[] }): TfModel
  readonly layers: {
    readonly dense: (options: { units: number; activation?: string }) => Layer
    readonly embedding: (options: { inputDim: number; outputDim: number }) => Layer
    readonly flatten: () => Layer
    readonly concatenate: () => Layer
  }
  readonly train: {
    adam(learningRate: number, beta1: number, beta2: number, epsilon: number): Optimizer
  }
}

export function adamOf(tf: TfLayers): Optimizer {
  return tf.train.adam(LEARNING_RATE, BETA1, BETA2, EPSILON)
}

/** The loss of all outputs comes first where there are several. */
export function lossOf(logs: number | readonly number[]): number {
  return typeof logs === 'number' ? logs : logs[0]!
}

/** A compiled model that begins with the given weights. */
export function modelOf(tf: TfLayers, which: ModelName, inputs: Inputs): TfModel {
  const { loss, build } = BUILDERS[which]
  const { ends, layers } = build(tf)
  const model = tf.model(ends)
  model.compile({ optimizer: adamOf(tf), loss })
  LAYERS[which].forEach((names, i) => {
    const weights = names.map((name) => tf.tensor(inputs[name]!.values, inputs[name]!.shape))
    layers[i]!.setWeights(weights)
    for (const weight of weights) weight.dispose()
  })
  return model
}

interface Built {
  readonly ends: { readonly inputs: readonly Symbolic[]; readonly outputs: readonly Symbolic[] }
  /** Those with weights, in the order of {@link LAYERS}. */
  readonly layers: readonly Layer[]
}

const relu = { activation: 'relu' }
const sigmoid = { activation: 'sigmoid' }
const softmax = { activation: 'softmax' }

const BUILDERS: Readonly<
  Record<ModelName, { readonly loss: readonly string[]; readonly build: (tf: TfLayers) => Built }>
> = {
  b1: {
    loss: ['meanSquaredError'],
    build({ input, layers: { concatenate, dense } }) {
      const [x1, x2] = [input({ shape: [10] }), input({ shape: [5] })]
      const layers = [
        dense({ units: 64, ...relu }),
        dense({ units: 32, ...relu }),
        dense({ units: 1 }),
      ] as const
      const [first, second, last] = layers
      const out = last.apply(concatenate().apply([first.apply(x1), second.apply(x2)]))
      return { ends: { inputs: [x1, x2], outputs: [out] }, layers }
    },
  },
  b2: {
    loss: ['binaryCrossentropy'],
    build({ input, layers: { concatenate, dense, embedding, flatten } }) {
      const [x, id] = [input({ shape: [10] }), input({ shape: [1] })]
      const layers = [
        dense({ units: 64, ...relu }),
        embedding({ inputDim: 100, outputDim: 32 }),
        dense({ units: 1, ...sigmoid }),
      ] as const
      const [first, table, last] = layers
      const out = last.apply(concatenate().apply([first.apply(x), flatten().apply(table.apply(id))]))
      return { ends: { inputs: [x, id], outputs: [out] }, layers }
    },
  },
  b3: {
    loss: ['meanSquaredError', 'binaryCrossentropy', 'categoricalCrossentropy'],
    build({ input, layers: { concatenate, dense } }) {
      const x = input({ shape: [20] })
      const hidden = [128, 64, 32].map((units) => dense({ units, ...relu }))
      const heads = [
        dense({ units: 1 }),
        dense({ units: 1, ...sigmoid }),
        dense({ units: 5, ...softmax }),
      ] as const
      const h2 = hidden[1]!.apply(hidden[0]!.apply(x))
      const h3 = hidden[2]!.apply(h2)
      const [a, b, c] = heads
      const outputs = [a.apply(h2), b.apply(h3), c.apply(concatenate().apply([h2, h3]))]
      return { ends: { inputs: [x], outputs }, layers: [...hidden, ...heads] }
    },
  },
  b4: {
    loss: ['categoricalCrossentropy'],
    build({ input, layers: { dense } }) {
      const x = input({ shape: [784] })
      const layers = [
        dense({ units: 256, ...relu }),
        dense({ units: 128, ...relu }),
        dense({ units: 10, ...softmax }),
      ]
      const out = layers.reduce((h, layer) => layer.apply(h), x)
      return { ends: { inputs: [x], outputs: [out] }, layers }
    },
  },
}
