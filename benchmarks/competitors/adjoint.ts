// Adjoint itself, eagerly: the programs as a user of @adjoint/core would write them. `--float64` makes it the reference.
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  concat,
  floatx,
  matmul,
  relu,
  setFloatx,
  squaredDifference,
  type Tensor,
  tensor,
  valueAndGrads,
  type Variable,
  variable,
  zerosLike,
} from '@adjoint/core'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { batchesOf, BETA1, BETA2, EPSILON, LEARNING_RATE, training } from './training.js'

function make({ values, shape }: Input): Tensor {
  return tensor(values, { shape, dtype: floatx() })
}

function batches(input: Input): Tensor[] {
  return batchesOf(input).map(make)
}

interface Layer {
  readonly w: Variable
  readonly b: Variable
}

function layer(inputs: Inputs, id: string): Layer {
  return { w: variable(make(inputs[`w${id}`]!)), b: variable(make(inputs[`b${id}`]!)) }
}

function dense(x: Tensor, { w, b }: Layer): Tensor {
  return matmul(x, w).add(b)
}

/** Adam (Kingma & Ba 2015) by hand. */
function adam(variables: readonly Variable[]): (grads: readonly Tensor[]) => void {
  const means: Tensor[] = variables.map((v) => zerosLike(v))
  const squares: Tensor[] = variables.map((v) => zerosLike(v))
  let steps = 0
  return (grads) => {
    steps++
    const rate = (LEARNING_RATE * Math.sqrt(1 - BETA2 ** steps)) / (1 - BETA1 ** steps)
    for (let i = 0; i < variables.length; i++) {
      const g = grads[i]!
      const m = means[i]!.mul(BETA1).add(g.mul(1 - BETA1))
      const s = squares[i]!.mul(BETA2).add(g.square().mul(1 - BETA2))
      variables[i]!.assign(variables[i]!.sub(m.mul(rate).div(s.sqrt().add(EPSILON))))
      means[i] = m
      squares[i] = s
    }
  }
}

function stepper(layers: readonly Layer[], batchCount: number, loss: (batch: number) => Tensor): Prepared {
  const variables = layers.flatMap(({ w, b }) => [w, b])
  const update = adam(variables)
  return training(batchCount, (batch) => {
    const { value, grads } = valueAndGrads(() => loss(batch), variables)
    update(grads)
    return value.itemSync()
  })
}

function b1(inputs: Inputs): Prepared {
  const [x1, x2, y] = [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)]
  const [first, second, last] = [layer(inputs, '1'), layer(inputs, '2'), layer(inputs, '3')]
  return stepper([first, second, last], y.length, (i) => {
    const h1 = relu(dense(x1[i]!, first))
    const h2 = relu(dense(x2[i]!, second))
    return squaredDifference(dense(concat([h1, h2], 1), last), y[i]!).mean()
  })
}

function b3(inputs: Inputs): Prepared {
  const x = batches(inputs.x!)
  const [yA, yB, yC] = [batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)]
  const layers = ['1', '2', '3', 'A', 'B', 'C'].map((id) => layer(inputs, id))
  const [d1, d2, d3, a, b, c] = layers as [Layer, Layer, Layer, Layer, Layer, Layer]
  return stepper(layers, x.length, (i) => {
    const h2 = relu(dense(relu(dense(x[i]!, d1)), d2))
    const h3 = relu(dense(h2, d3))
    const lossA = squaredDifference(dense(h2, a), yA[i]!).mean()
    const lossB = binaryCrossentropy(yB[i]!, dense(h3, b), { fromLogits: true, reduction: 'mean' })
    const logits = dense(concat([h2, h3], 1), c)
    const lossC = categoricalCrossentropy(yC[i]!, logits, { fromLogits: true, reduction: 'mean' })
    return lossA.add(lossB).add(lossC)
  })
}

/** An op on its own. The last output is kept, so that no result is thrown away unseen. */
function repeated(op: () => Tensor): Prepared {
  let last = op()
  return {
    results: () => last.dataSync(),
    run(times) {
      for (let i = 0; i < times; i++) last = op()
    },
  }
}

const unary =
  (op: (x: Tensor) => Tensor): Program =>
  (inputs) => {
    const x = make(inputs.x!)
    return repeated(() => op(x))
  }

const layers = () => import('./adjoint-layers.js')

await serve(() => {
  if (process.argv.includes('--float64')) setFloatx('float64')
  return {
    versions: { '@adjoint/core': 'this checkout' },
    programs: {
      b1,
      b3,
      matmul(inputs) {
        const [a, b] = [make(inputs.a!), make(inputs.b!)]
        return repeated(() => a.matmul(b))
      },
      mul(inputs) {
        const [x, y] = [make(inputs.x!), make(inputs.y!)]
        return repeated(() => x.mul(y))
      },
      exp: unary((x) => x.exp()),
      tanh: unary((x) => x.tanh()),
      softmax: unary((x) => x.softmax()),
      'b1-train': async (inputs) => (await layers()).b1Train(inputs),
      'b3-train': async (inputs) => (await layers()).b3Train(inputs),
      'fit-seed1': async (inputs) => (await layers()).fitSeed1(inputs),
    },
  }
})
