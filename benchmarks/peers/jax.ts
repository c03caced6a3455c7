// jax-js: eagerly where we are eager, by jit else.
import { readFileSync } from 'node:fs'
import { LARGE_BATCH } from '../cases.js'
import { type Input, type Prepared, type Program, serve } from '../protocol.js'
import { rateAt } from '../competitors/adam.js'
import { batchesOf, trainingAsync } from '../competitors/training.js'
import { COLUMNS, type ModelName } from '../models.js'
import { type Jax, type JaxArray, jaxSteps, type Unary } from './jax-steps.js'

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

function programs(jax: Jax): Record<string, Program> {
  const { jit, numpy: np, nn } = jax
  const make = ({ values, shape }: Input): JaxArray => np.array(values, { shape })
  const { losses, begin, columnOf, stepOf } = jaxSteps(jax)

  /** Training steps, eagerly or by jit. */
  const step =
    (which: ModelName, isCompiled: boolean): Program =>
    (inputs) => {
      let state = begin(which, inputs)
      const once = isCompiled ? jit(stepOf(losses[which])) : stepOf(losses[which])
      const { x, y } = COLUMNS[which]
      const batch = which === 'b4' ? LARGE_BATCH : undefined
      const data = [...x, ...y].map((name) =>
        batchesOf(inputs[name]!, batch).map((part) => columnOf(name, part)),
      )
      let steps = 0
      return trainingAsync(data[0]!.length, async (i) => {
        const rate = np.array(Float32Array.of(rateAt(++steps)), { shape: [] })
        const [value, next] = once(state, rate, ...data.map((xs) => xs[i]!.ref))
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
    'b1-eager': step('b1', false),
    'b1-plan': step('b1', true),
    'b2-plan': step('b2', true),
    'b3-eager': step('b3', false),
    'b3-plan': step('b3', true),
    'b4-plan': step('b4', true),
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
