/**
 * Long synchronous loops and what they leave behind, each in a process of its own, with the arguments <run> <count>.
 * Prints one line of JSON. Needs --expose-gc.
 */
import {
  add,
  checkpoint,
  compile,
  customGradient,
  detectAnomalies,
  div,
  grad,
  gradientTape,
  matmul,
  mul,
  random,
  reshape,
  sqrt,
  square,
  sub,
  tensor,
  type Tensor,
  type Variable,
  valueAndGrads,
  variable,
  withBackend,
  zeros,
} from '@adjoint/core'
import { abstractBackend } from '@adjoint/core/extend'

const { gc } = globalThis
if (gc === undefined) throw new Error('run it with node --expose-gc')

/** Bytes: on the heap, and in array buffers, where tensors of more than a few elements have their values. */
interface Held {
  readonly heap: number
  readonly buffers: number
}

/** What is still held once all garbage is collected. */
function held(): Held {
  gc!()
  gc!()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers }
}

/** Runs `step` until everything is compiled, then `count` times more. */
function loop(count: number, warmUp: number, step: () => void): object {
  for (let i = 0; i < warmUp; i++) step()
  const before = held()
  const start = performance.now()
  for (let i = 0; i < count; i++) step()
  const seconds = (performance.now() - start) / 1000
  return { before, after: held(), seconds }
}

const runs: Readonly<Record<string, (count: number) => object>> = {
  /** x = x + 1 on [256, 256]: 256 KB of garbage each time. */
  add(count) {
    let x: Tensor = zeros([256, 256])
    const sizes = loop(count, 200, () => {
      x = x.add(1)
    })
    return { ...sizes, value: x.dataSync()[65_535]! }
  },

  /** Training of a 10-64-1 model on batches of 32, with Adam. */
  train(count) {
    const w1 = variable(random.normal([10, 64], { seed: 1, std: 0.3 }))
    const b1 = variable(zeros([64]))
    const w2 = variable(random.normal([64, 1], { seed: 2, std: 0.1 }))
    const b2 = variable(zeros([1]))
    const variables = [w1, b1, w2, b2]
    const x = random.normal([32, 10], { seed: 3 })
    const y = x.sum(1, true).sin()
    const update = adam(variables)
    let first: number | undefined
    let last = NaN
    const sizes = loop(count, 1000, () => {
      const { value, grads } = valueAndGrads(
        () => matmul(matmul(x, w1).add(b1).relu(), w2).add(b2).sub(y).square().mean(),
        variables,
      )
      update(grads)
      last = value.itemSync()
      first ??= last
    })
    return { ...sizes, first, last }
  },

  /** The same training as a plan. */
  plan(count) {
    const [w1, w2] = [variable(random.normal([10, 64], { seed: 1, std: 0.3 })), variable(zeros([64, 1]))]
    const [m1, m2] = [variable(zeros([10, 64])), variable(zeros([64, 1]))]
    const step = compile((x: Tensor, y: Tensor, rate: Tensor) => {
      const { value, grads } = valueAndGrads(
        () => matmul(matmul(x, w1).relu(), w2).sub(y).square().mean(),
        [w1, w2],
      )
      for (const [w, m, g] of [[w1, m1, grads[0]!] as const, [w2, m2, grads[1]!] as const]) {
        m.assign(m.mul(0.9).add(g))
        w.assign(w.sub(m.mul(rate)))
      }
      return value
    })
    const x = random.normal([32, 10], { seed: 3 })
    const y = x.sum(1, true).sin()
    let first: number | undefined
    let last = NaN
    const sizes = loop(count, 5000, () => {
      last = step(x, y, tensor(0.01)).itemSync()
      first ??= last
    })
    return { ...sizes, first, last }
  },

  /** Everything that opens a scope, left by an error at every depth. */
  errors(count) {
    const x = random.normal([1000], { seed: 1 })
    const v = variable(x)
    const broken = customGradient(
      (y: Tensor) => y.mul(2),
      () => fail(),
    )
    const ways: (() => unknown)[] = [
      () => add(x, zeros([3])),
      () => reshape(x, [7, -1]),
      () => grad((y: Tensor) => y.exp().add(fail()))(x),
      () => grad((y: Tensor) => grad((z: Tensor) => z.exp().mul(y).add(fail()))(y))(x),
      () => grad((y: Tensor) => y.exp())(x),
      () => grad((y: Tensor) => broken(y.exp()).sum())(x),
      () => valueAndGrads(() => v.exp().add(fail()), [v]),
      () => grad((y: Tensor) => checkpoint((z: Tensor) => z.exp().add(fail()))(y).sum())(x),
      () => withBackend(abstractBackend, () => x.exp().add(fail())),
      () => detectAnomalies(() => x.mul(0).log()),
      () => {
        using tape = gradientTape({ persistent: true })
        tape.watch(x)
        return tape.gradient(v.mul(x).exp().add(fail()), x)
      },
    ]
    let thrown = 0
    let at = 0
    const sizes = loop(count, 1000, () => {
      try {
        ways[at++ % ways.length]!()
      } catch {
        thrown++
      }
    })
    // Whatever is recorded, muted or redirected now was left so by an error.
    const g = grad((y: Tensor) => y.square().sum())(x).dataSync()
    const isRight = x.dataSync().every((value, i) => Math.abs(g[i]! - 2 * value) < 1e-6)
    return { ...sizes, thrown: thrown - 1000, isRight, position: v.mul(x).position }
  },

  /** The most that is held while a chain of `count` blocks is differentiated, with and without checkpoints. */
  checkpoint(count) {
    const x = random.normal([128, 128], { seed: 1, std: 0.1 })
    const peakOf = (wrap: (f: (x: Tensor) => Tensor) => (x: Tensor) => Tensor): object => {
      const { buffers } = held()
      let peak = 0
      const measured = <R>(value: R): R => {
        peak = Math.max(peak, held().buffers - buffers)
        return value
      }
      const probe = customGradient(
        (y: Tensor) => measured(y.mul(1)),
        ({ g }) => [measured(g)],
      )
      const block = wrap((y) => {
        for (let i = 0; i < 8; i++) y = y.sin()
        return probe(y)
      })
      const g = grad((y: Tensor) => {
        for (let i = 0; i < count; i++) y = block(y)
        return y.sum()
      })(x)
      return { peak, gradient: g.dataSync()[0]! }
    }
    return { plain: peakOf((f) => f), checkpointed: peakOf(checkpoint), one: x.size * 4 }
  },
}

function fail(): never {
  throw new Error('as planned')
}

/** Adam (Kingma & Ba 2015) of elementwise ops. */
function adam(variables: readonly Variable[]): (grads: readonly Tensor[]) => void {
  const [rate, beta1, beta2, epsilon] = [1e-3, 0.9, 0.999, 1e-7]
  const ms = variables.map((v) => variable(zeros(v.shape)))
  const vs = variables.map((v) => variable(zeros(v.shape)))
  let t = 0
  return (grads) => {
    t++
    const scale = (rate * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)
    variables.forEach((w, i) => {
      const g = grads[i]!
      ms[i]!.assign(add(mul(ms[i]!, beta1), mul(g, 1 - beta1)))
      vs[i]!.assign(add(mul(vs[i]!, beta2), mul(square(g), 1 - beta2)))
      w.assign(sub(w, mul(div(ms[i]!, add(sqrt(vs[i]!), epsilon)), scale)))
    })
  }
}

const [name, count] = process.argv.slice(2)
const report = runs[name!]!(Number(count))
console.log(JSON.stringify({ ...report, peak: process.resourceUsage().maxRSS * 1024 }))
