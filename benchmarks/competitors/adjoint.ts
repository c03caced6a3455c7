// Adjoint itself: the programs as a user of @adjoint/core would write them. `--float64` makes it the reference, eagerly
// on plain loops; `--plan` compiles products, and `--threads` shares plans between two threads.
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  compile,
  concat,
  embedding,
  floatx,
  matmul,
  relu,
  scalar,
  setBackend,
  setFloatx,
  setThreads,
  squaredDifference,
  type Tensor,
  tensor,
  type TensorLike,
  valueAndGrads,
  type Variable,
  variable,
  zerosLike,
} from '@adjoint/core'
import { call, elementwise, plainBackend } from '@adjoint/core/extend'
import { LARGE_BATCH } from '../cases.js'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { BETA1, BETA2, EPSILON, rateAt } from './adam.js'
import { firstStep } from './first-step.js'
import { batchesOf, tiled, training, updating } from './training.js'

function make({ values, shape }: Input): Tensor {
  return tensor(values, { shape, dtype: floatx() })
}

function batches(input: Input, batch?: number): Tensor[] {
  return batchesOf(input, batch).map(make)
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

/** Weights, data in batches, and the loss of a batch. */
interface Task {
  readonly variables: readonly Variable[]
  readonly data: readonly (readonly Tensor[])[]
  readonly loss: (...batch: readonly Tensor[]) => Tensor
}

const weightsOf = (layers: readonly Layer[]): Variable[] => layers.flatMap(({ w, b }) => [w, b])

/** [[x of batch 0, y of batch 0], …] */
function zipped(...columns: readonly (readonly Tensor[])[]): Tensor[][] {
  return columns[0]!.map((_, i) => columns.map((column) => column[i]!))
}

function b1(inputs: Inputs): Task {
  const [first, second, last] = [layer(inputs, '1'), layer(inputs, '2'), layer(inputs, '3')]
  return {
    variables: weightsOf([first, second, last]),
    data: zipped(batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)),
    loss(x1, x2, y) {
      const h1 = relu(dense(x1, first))
      const h2 = relu(dense(x2, second))
      return squaredDifference(dense(concat([h1, h2], 1), last), y).mean()
    },
  }
}

function b2(inputs: Inputs): Task {
  const [first, last] = [layer(inputs, '1'), layer(inputs, '2')]
  const table = variable(make(inputs.table!))
  const ids = batchesOf(inputs.id!).map(({ values }) => tensor(values, { dtype: 'int32' }))
  return {
    variables: [...weightsOf([first]), table, ...weightsOf([last])],
    data: zipped(batches(inputs.x!), ids, batches(inputs.y!)),
    loss(x, id, y) {
      const logits = dense(concat([relu(dense(x, first)), embedding(table, id)], 1), last)
      return binaryCrossentropy(y, logits, { fromLogits: true, reduction: 'mean' })
    },
  }
}

function b3(inputs: Inputs): Task {
  const layers = ['1', '2', '3', 'A', 'B', 'C'].map((id) => layer(inputs, id))
  const [d1, d2, d3, a, b, c] = layers as [Layer, Layer, Layer, Layer, Layer, Layer]
  return {
    variables: weightsOf(layers),
    data: zipped(batches(inputs.x!), batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)),
    loss(x, yA, yB, yC) {
      const h2 = relu(dense(relu(dense(x, d1)), d2))
      const h3 = relu(dense(h2, d3))
      const lossA = squaredDifference(dense(h2, a), yA).mean()
      const lossB = binaryCrossentropy(yB, dense(h3, b), { fromLogits: true, reduction: 'mean' })
      const logits = dense(concat([h2, h3], 1), c)
      const lossC = categoricalCrossentropy(yC, logits, { fromLogits: true, reduction: 'mean' })
      return lossA.add(lossB).add(lossC)
    },
  }
}

function b4(inputs: Inputs): Task {
  const layers = ['1', '2', '3'].map((id) => layer(inputs, id))
  const [d1, d2, d3] = layers as [Layer, Layer, Layer]
  return {
    variables: weightsOf(layers),
    data: zipped(batches(inputs.x!, LARGE_BATCH), batches(inputs.y!, LARGE_BATCH)),
    loss(x, y) {
      const logits = dense(relu(dense(relu(dense(x, d1)), d2)), d3)
      return categoricalCrossentropy(y, logits, { fromLogits: true, reduction: 'mean' })
    },
  }
}

/** A weight and what Adam remembers of its gradients. */
interface Slots {
  readonly w: Variable
  readonly m: Variable
  readonly s: Variable
}

function slotsOf(w: Variable): Slots {
  return { w, m: variable(zerosLike(w)), s: variable(zerosLike(w)) }
}

/** One step of Adam (Kingma & Ba 2015) from ops, which a plan puts together. */
function adam({ w, m, s }: Slots, g: Tensor, rate: TensorLike): void {
  m.assign(m.mul(BETA1).add(g.mul(1 - BETA1)))
  s.assign(s.mul(BETA2).add(g.square().mul(1 - BETA2)))
  w.assign(w.sub(m.mul(rate).div(s.sqrt().add(EPSILON))))
}

// Adam in three formulas: eagerly every op is a pass over its operands.
const momentum = elementwise({
  name: 'momentum',
  args: ['m', 'dw'],
  params: ['beta'],
  expr: 'm * beta + dw * (1 - beta)',
  vjp: null,
})
const velocity = elementwise({
  name: 'velocity',
  args: ['s', 'dw'],
  params: ['beta'],
  expr: 's * beta + dw * dw * (1 - beta)',
  vjp: null,
})
const move = elementwise({
  name: 'move',
  args: ['w', 'm', 's'],
  params: ['rate', 'epsilon'],
  expr: 'w - m * rate / (sqrt(s) + epsilon)',
  vjp: null,
})

function adamEagerly({ w, m, s }: Slots, g: Tensor, rate: number): void {
  m.assign(call(momentum, [m, g], { beta: BETA1 }))
  s.assign(call(velocity, [s, g], { beta: BETA2 }))
  w.assign(call(move, [w, m, s], { rate, epsilon: EPSILON }))
}

function eager({ variables, data, loss }: Task): Prepared {
  const slots = variables.map(slotsOf)
  let steps = 0
  return training(data.length, (i) => {
    const { value, grads } = valueAndGrads(() => loss(...data[i]!), variables)
    const rate = rateAt(++steps)
    slots.forEach((slot, at) => adamEagerly(slot, grads[at]!, rate))
    return value.itemSync()
  })
}

/** The same step, compiled. */
function planned({ variables, data, loss }: Task): Prepared {
  const slots = variables.map(slotsOf)
  const step = compile((rate: Tensor, ...batch: Tensor[]) => {
    const { value, grads } = valueAndGrads(() => loss(...batch), variables)
    slots.forEach((slot, at) => adam(slot, grads[at]!, rate))
    return value
  })
  let steps = 0
  return training(
    data.length,
    (i) => step(scalar(rateAt(++steps)), ...data[i]!),
    (value) => value.itemSync(),
  )
}

/** A step of Adam alone, compiled, on weights and gradients that stay where they are. */
function adamAlone(inputs: Inputs): Prepared {
  const slots = slotsOf(variable(make(tiled(inputs.w!))))
  const g = variable(make(tiled(inputs.g!)))
  const step = compile((rate: Tensor) => adam(slots, g, rate))
  let steps = 0
  return updating(
    () => step(scalar(rateAt(++steps))),
    () => slots.w.dataSync() as Float32Array | Float64Array,
  )
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

const product =
  (transposeA: boolean, transposeB: boolean): Program =>
  (inputs) => {
    const [a, b] = [make(inputs.a!), make(inputs.b!)]
    const multiply = (x: Tensor, y: Tensor): Tensor => matmul(x, y, transposeA, transposeB)
    const f = process.argv.includes('--plan') ? compile(multiply) : multiply
    return repeated(() => f(a, b))
  }

const layers = () => import('./adjoint-layers.js')

await serve(() => {
  const isReference = process.argv.includes('--float64')
  if (isReference) {
    setFloatx('float64')
    setBackend(plainBackend)
  }
  if (process.argv.includes('--threads')) setThreads(2)
  const plan = isReference ? eager : planned
  return {
    versions: { '@adjoint/core': 'this checkout' },
    programs: {
      'b1-eager': (inputs) => eager(b1(inputs)),
      'b3-eager': (inputs) => eager(b3(inputs)),
      'b1-plan': (inputs) => plan(b1(inputs)),
      'b2-plan': (inputs) => plan(b2(inputs)),
      'b3-plan': (inputs) => plan(b3(inputs)),
      'b4-plan': (inputs) => plan(b4(inputs)),
      'b1-train': async (inputs) => (await layers()).b1Train(inputs),
      'b2-train': async (inputs) => (await layers()).b2Train(inputs),
      'b3-train': async (inputs) => (await layers()).b3Train(inputs),
      'fit-seed1': async (inputs) => (await layers()).fitSeed1(inputs),
      import: async (inputs) =>
        isReference ? (await layers()).firstStep(inputs) : firstStep('adjoint', inputs),
      matmul: product(false, false),
      'matmul-tn': product(true, false),
      'matmul-nt': product(false, true),
      'matmul-tt': product(true, true),
      mul(inputs) {
        const [x, y] = [make(inputs.x!), make(inputs.y!)]
        return repeated(() => x.mul(y))
      },
      exp: unary((x) => x.exp()),
      tanh: unary((x) => x.tanh()),
      sigmoid: unary((x) => x.sigmoid()),
      softmax: unary((x) => x.softmax()),
      adam: adamAlone,
    },
  }
})
