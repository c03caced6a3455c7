// jax-js: eagerly where we are eager, by jit else. Its arrays are moved into every call; `.ref` keeps one for later use. Only the part of its types that
// is used is written down here, so that this file compiles without the peers being installed.
import { readFileSync } from 'node:fs'
import { LARGE_BATCH } from '../cases.js'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { batchesOf, BETA1, BETA2, EPSILON, rateAt, trainingAsync } from '../competitors/training.js'

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
  readonly jit: <F>(f: F) => F
  readonly numpy: Record<'exp' | 'tanh' | 'square' | 'sqrt' | 'mean' | 'zerosLike' | 'transpose', Unary> & {
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray
    array(values: Float32Array | Int32Array, options: { shape: readonly number[] }): JaxArray
    matmul(a: JaxArray, b: JaxArray): JaxArray
    concatenate(xs: readonly JaxArray[], axis: number): JaxArray
    sum(x: JaxArray, axis?: number): JaxArray
  }
  readonly nn: Record<'relu' | 'softplus' | 'sigmoid', Unary> &
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

function programs({ jit, numpy: np, nn, tree, valueAndGrad }: Jax): Record<string, Program> {
  const make = ({ values, shape }: Input): JaxArray => np.array(values, { shape })
  const batches = (input: Input, batch?: number): JaxArray[] => batchesOf(input, batch).map(make)
  const dense = (x: JaxArray, w: JaxArray, b: JaxArray): JaxArray => np.matmul(x, w).add(b)
  const paramsOf = (inputs: Inputs): Params =>
    Object.fromEntries(
      Object.entries(inputs)
        .filter(([name]) => name.startsWith('w') || name.startsWith('b'))
        .map(([name, input]) => [name, make(input)]),
    )

  type State = [params: Params, means: Params, squares: Params]
  const zerosLike = (params: Params): Params =>
    Object.fromEntries(Object.keys(params).map((name) => [name, np.zerosLike(params[name]!.ref)]))

  /** Forward, backward and Adam: the loss, then weights and slots. */
  function stepOf(loss: Loss) {
    const lossAndGrad = valueAndGrad(loss)
    return ([params, means, squares]: State, rate: JaxArray, ...batch: JaxArray[]): [JaxArray, State] => {
      const [value, grads] = lossAndGrad(tree.ref(params), ...batch)
      const next: State = [{}, {}, {}]
      for (const name of Object.keys(params)) {
        const g = grads[name]!
        const m = means[name]!.mul(BETA1).add(g.ref.mul(1 - BETA1))
        const s = squares[name]!.mul(BETA2).add(np.square(g).mul(1 - BETA2))
        const change = m.ref.mul(rate.ref).div(np.sqrt(s.ref).add(EPSILON))
        next[0][name] = params[name]!.sub(change)
        next[1][name] = m
        next[2][name] = s
      }
      rate.dispose()
      return [value, next]
    }
  }

  function stepper(inputs: Inputs, data: readonly JaxArray[][], loss: Loss, isCompiled: boolean): Prepared {
    const params = paramsOf(inputs)
    let state: State = [params, zerosLike(params), zerosLike(params)]
    const step = isCompiled ? jit(stepOf(loss)) : stepOf(loss)
    let steps = 0
    return trainingAsync(data[0]!.length, async (i) => {
      const rate = np.array(Float32Array.of(rateAt(++steps)), { shape: [] })
      const [value, next] = step(state, rate, ...data.map((xs) => xs[i]!.ref))
      state = next
      // Arrays are lazy: a step is over when its weights are there.
      await Promise.all(Object.values(state[0]).map((p) => p.blockUntilReady()))
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

  const b1 =
    (isCompiled: boolean): Program =>
    (inputs) => {
      const loss: Loss = (p, x1, x2, y) => {
        const h1 = nn.relu(dense(x1, p.w1!, p.b1!))
        const h2 = nn.relu(dense(x2, p.w2!, p.b2!))
        const out = dense(np.concatenate([h1, h2], 1), p.w3!, p.b3!)
        return np.mean(np.square(out.sub(y)))
      }
      return stepper(inputs, [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)], loss, isCompiled)
    }

  const b2: Program = (inputs) => {
    const ids = batchesOf(inputs.id!).map(({ values }) => np.array(Int32Array.from(values), { shape: [32] }))
    const { table, ...others } = inputs
    const loss: Loss = (p, x, id, y) => {
      const h = np.concatenate([nn.relu(dense(x, p.w1!, p.b1!)), np.take(p.wTable!, id, 0)], 1)
      const logit = dense(h, p.w2!, p.b2!)
      return np.mean(nn.softplus(logit.ref).sub(logit.mul(y)))
    }
    return stepper({ ...others, wTable: table! }, [batches(inputs.x!), ids, batches(inputs.y!)], loss, true)
  }

  const b3 =
    (isCompiled: boolean): Program =>
    (inputs) => {
      const loss: Loss = (p, x, yA, yB, yC) => {
        const h2 = nn.relu(dense(nn.relu(dense(x, p.w1!, p.b1!)), p.w2!, p.b2!))
        const h3 = nn.relu(dense(h2.ref, p.w3!, p.b3!))
        const lossA = np.mean(np.square(dense(h2.ref, p.wA!, p.bA!).sub(yA)))
        const logit = dense(h3.ref, p.wB!, p.bB!)
        const lossB = np.mean(nn.softplus(logit.ref).sub(logit.mul(yB)))
        const logits = dense(np.concatenate([h2, h3], 1), p.wC!, p.bC!)
        return lossA.add(lossB).sub(crossentropy(logits, yC))
      }
      const data = ['x', 'yA', 'yB', 'yC'].map((name) => batches(inputs[name]!))
      return stepper(inputs, data, loss, isCompiled)
    }

  const b4: Program = (inputs) => {
    const loss: Loss = (p, x, y) => {
      const h = nn.relu(dense(nn.relu(dense(x, p.w1!, p.b1!)), p.w2!, p.b2!))
      return crossentropy(dense(h, p.w3!, p.b3!), y).mul(-1)
    }
    return stepper(inputs, [batches(inputs.x!, LARGE_BATCH), batches(inputs.y!, LARGE_BATCH)], loss, true)
  }

  /** Minus the mean crossentropy. */
  function crossentropy(logits: JaxArray, y: JaxArray): JaxArray {
    return np.mean(np.sum(nn.logSoftmax(logits, -1).mul(y), -1))
  }

  /** Transposed operands are views to jax-js; the product is compiled, as it would be in a step. */
  const product =
    (transposeA: boolean, transposeB: boolean): Program =>
    (inputs) => {
      const [a, b] = [make(inputs.a!), make(inputs.b!)]
      const f = jit((x: JaxArray, y: JaxArray) =>
        np.matmul(transposeA ? np.transpose(x) : x, transposeB ? np.transpose(y) : y),
      )
      return repeated(() => f(a.ref, b.ref))
    }

  return {
    'b1-eager': b1(false),
    'b1-plan': b1(true),
    'b2-plan': b2,
    'b3-eager': b3(false),
    'b3-plan': b3(true),
    'b4-plan': b4,
    matmul: product(false, false),
    'matmul-tn': product(true, false),
    'matmul-nt': product(false, true),
    'matmul-tt': product(true, true),
    mul(inputs) {
      const [x, y] = [make(inputs.x!), make(inputs.y!)]
      return repeated(() => x.ref.mul(y.ref))
    },
    exp: unary((x) => np.exp(x)),
    tanh: unary((x) => np.tanh(x)),
    sigmoid: unary((x) => nn.sigmoid(x)),
    softmax: unary((x) => nn.softmax(x, -1)),
  }
}
