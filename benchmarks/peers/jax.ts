// jax-js, eagerly. Its arrays are moved into every call; `.ref` keeps one for later use. Only the part of its types that
// is used is written down here, so that this file compiles without the peers being installed.
import { readFileSync } from 'node:fs'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { batchesOf, BETA1, BETA2, EPSILON, LEARNING_RATE, trainingAsync } from '../competitors/training.js'

interface JaxArray {
  readonly ref: JaxArray
  add(other: JaxArray | number): JaxArray
  sub(other: JaxArray | number): JaxArray
  mul(other: JaxArray | number): JaxArray
  div(other: JaxArray | number): JaxArray
  data(): Promise<Float32Array>
  blockUntilReady(): Promise<JaxArray>
  dispose(): void
}
type Params = Record<string, JaxArray>
type Unary = (x: JaxArray) => JaxArray
type Loss = (params: Params, ...batch: JaxArray[]) => JaxArray
interface Jax {
  readonly init: (device: string) => Promise<string[]>
  readonly defaultDevice: () => string
  readonly valueAndGrad: (
    f: Loss,
  ) => (params: Params, ...batch: JaxArray[]) => [value: JaxArray, grads: Params]
  readonly numpy: Record<'exp' | 'tanh' | 'square' | 'sqrt' | 'mean' | 'zerosLike', Unary> & {
    array(values: Float32Array, options: { shape: readonly number[] }): JaxArray
    matmul(a: JaxArray, b: JaxArray): JaxArray
    concatenate(xs: readonly JaxArray[], axis: number): JaxArray
    sum(x: JaxArray, axis?: number): JaxArray
  }
  readonly nn: Record<'relu' | 'softplus', Unary> &
    Record<'softmax' | 'logSoftmax', (x: JaxArray, axis?: number) => JaxArray>
  readonly tree: { ref(params: Params): Params }
}

await serve(async () => {
  // It asks for the browser's name; Node has a navigator from version 21 on.
  if (typeof navigator === 'undefined')
    Object.defineProperty(globalThis, 'navigator', {
      value: { userAgent: 'Node.js', hardwareConcurrency: 1 },
    })
  const name = '@jax-js/jax'
  const jax = (await import(name)) as Jax
  await jax.init('wasm')
  const manifest = new URL(`./node_modules/${name}/package.json`, import.meta.url)
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  return { versions: { [name]: `${version} (${jax.defaultDevice()})` }, programs: programs(jax) }
})

function programs({ numpy: np, nn, tree, valueAndGrad }: Jax): Record<string, Program> {
  const make = ({ values, shape }: Input): JaxArray => np.array(values, { shape })
  const batches = (input: Input): JaxArray[] => batchesOf(input).map(make)
  const dense = (x: JaxArray, w: JaxArray, b: JaxArray): JaxArray => np.matmul(x, w).add(b)
  const paramsOf = (inputs: Inputs): Params =>
    Object.fromEntries(
      Object.entries(inputs)
        .filter(([name]) => name.startsWith('w') || name.startsWith('b'))
        .map(([name, input]) => [name, make(input)]),
    )

  function stepper(inputs: Inputs, data: readonly JaxArray[][], loss: Loss): Prepared {
    const params = paramsOf(inputs)
    const means: Params = {}
    const squares: Params = {}
    for (const name of Object.keys(params)) {
      means[name] = np.zerosLike(params[name]!.ref)
      squares[name] = np.zerosLike(params[name]!.ref)
    }
    const lossAndGrad = valueAndGrad(loss)
    let steps = 0
    return trainingAsync(data[0]!.length, async (i) => {
      const [value, grads] = lossAndGrad(tree.ref(params), ...data.map((xs) => xs[i]!.ref))
      steps++
      const rate = (LEARNING_RATE * Math.sqrt(1 - BETA2 ** steps)) / (1 - BETA1 ** steps)
      for (const name of Object.keys(params)) {
        const g = grads[name]!
        const m = means[name]!.mul(BETA1).add(g.ref.mul(1 - BETA1))
        const s = squares[name]!.mul(BETA2).add(np.square(g).mul(1 - BETA2))
        const change = m.ref.mul(rate).div(np.sqrt(s.ref).add(EPSILON))
        params[name] = params[name]!.sub(change)
        means[name] = m
        squares[name] = s
      }
      // Arrays are lazy: a step is over when its weights are there.
      await Promise.all(Object.values(params).map((p) => p.blockUntilReady()))
      return (await value.data())[0]!
    })
  }

  function repeated(op: () => JaxArray): Prepared {
    return {
      results: () => op().data(),
      async run(times) {
        for (let i = 0; i < times; i++) (await op().blockUntilReady()).dispose()
      },
    }
  }
  const unary =
    (op: Unary): Program =>
    (inputs) => {
      const x = make(inputs.x!)
      return repeated(() => op(x.ref))
    }

  return {
    b1: (inputs) =>
      stepper(inputs, [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)], (p, x1, x2, y) => {
        const h1 = nn.relu(dense(x1, p.w1!, p.b1!))
        const h2 = nn.relu(dense(x2, p.w2!, p.b2!))
        const out = dense(np.concatenate([h1, h2], 1), p.w3!, p.b3!)
        return np.mean(np.square(out.sub(y)))
      }),
    b3: (inputs) =>
      stepper(
        inputs,
        [batches(inputs.x!), batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)],
        (p, x, yA, yB, yC) => {
          const h2 = nn.relu(dense(nn.relu(dense(x, p.w1!, p.b1!)), p.w2!, p.b2!))
          const h3 = nn.relu(dense(h2.ref, p.w3!, p.b3!))
          const lossA = np.mean(np.square(dense(h2.ref, p.wA!, p.bA!).sub(yA)))
          const logit = dense(h3.ref, p.wB!, p.bB!)
          const lossB = np.mean(nn.softplus(logit.ref).sub(logit.mul(yB)))
          const logits = dense(np.concatenate([h2, h3], 1), p.wC!, p.bC!)
          const lossC = np.mean(np.sum(nn.logSoftmax(logits, -1).mul(yC), -1))
          return lossA.add(lossB).sub(lossC)
        },
      ),
    matmul(inputs) {
      const [a, b] = [make(inputs.a!), make(inputs.b!)]
      return repeated(() => np.matmul(a.ref, b.ref))
    },
    mul(inputs) {
      const [x, y] = [make(inputs.x!), make(inputs.y!)]
      return repeated(() => x.ref.mul(y.ref))
    },
    exp: unary((x) => np.exp(x)),
    tanh: unary((x) => np.tanh(x)),
    softmax: unary((x) => nn.softmax(x, -1)),
  }
}
