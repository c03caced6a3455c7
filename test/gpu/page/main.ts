/** What runs in the browser: tests ask for it by `window.adjointPage`. */
import {
  compile,
  detectAnomalies,
  grad,
  matmul,
  ones,
  random,
  setBackend,
  setSeed,
  softmax,
  type Tensor,
  tensor,
  scope,
  valueAndGrads,
  variable,
  withBackend,
  zeros,
} from '@adjoint/core'
import { cpuBackend, rows as table } from '@adjoint/core/extend'
import { createGpuBackend, type GpuMode } from '@adjoint/gpu'
import { dense, dropout, input, model } from '@adjoint/layers'
import {
  edgeDifferences,
  inaccuracies,
  programDifferences,
  programs as randomPrograms,
  rowDifferences,
} from '../../support/gpu-rows.js'
import { planCases, runPlanCase, type Trainable, trainedApart } from '../../support/gpu-plans.js'
import { traps } from '../../support/gpu-traps.js'
import { OPENERS } from '../../../packages/gpu/src/modes.js'
import { gpuJs } from '../../../packages/gpu/src/vendor.js'
import type { Program, Storage } from '../../../packages/gpu/src/device.js'
import type { UlpTable, VectorCase } from '../../support/oracles.js'
import { failuresWhenRead } from '../../support/vectors.js'

/** Runs cases and says what is wrong, or why nothing could be run. */
async function vectors(mode: GpuMode, cases: readonly VectorCase[]): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  setBackend(gpu)
  const wrong: string[] = []
  try {
    for (const c of cases)
      try {
        const failures = await failuresWhenRead(c, 'float32')
        if (failures.length > 0) wrong.push(`${c.id}: ${failures[0]}`)
      } catch (error) {
        wrong.push(`${c.id}: ${String(error).slice(0, 1500)}`)
      }
  } finally {
    setBackend(cpuBackend)
  }
  return wrong
}

/** The adapter of a mode. */
async function info(mode: GpuMode): Promise<unknown> {
  return (await createGpuBackend({ prefer: [mode], allowSoftware: true })).info
}

/** How far products of larger matrices are from the CPU's, in all four transpositions and with batches. */
async function matmuls(mode: GpuMode): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const [m, k, n] of [
    [64, 64, 64],
    [33, 70, 29],
    [5, 1000, 7],
  ] as const)
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        for (const batch of [[], [3], [2, 2]])
          for (const isShared of [false, true]) {
            const shape = (rows: number, columns: number, isTransposed: boolean): number[] =>
              isTransposed ? [columns, rows] : [rows, columns]
            const a = random.uniform([...batch, ...shape(m, k, transposeA)], { seed: 1, min: -1 })
            const b = random.uniform([...(isShared ? [] : batch), ...shape(k, n, transposeB)], {
              seed: 2,
              min: -1,
            })
            const want = withBackend(cpuBackend, () => matmul(a, b, transposeA, transposeB)).dataSync()
            const got = await withBackend(gpu, () => matmul(a, b, transposeA, transposeB)).data()
            // Sums of k products of numbers below 1, in float32.
            const most = k * 2 ** -22
            const at = got.findIndex((value, i) => !(Math.abs(value - want[i]!) <= most))
            if (at >= 0)
              wrong.push(
                `[${batch.join()}] ${m} ${k} ${n} ${transposeA} ${transposeB}: [${at}] is ${got[at]}, want ${want[at]}`,
              )
          }
  return wrong
}

interface GlText {
  getFragmentShader(args: unknown): string
}

type Write = GlText['getFragmentShader']

/** What `f` gives while the device's texts of shaders are changed, or never taken, and how many there were. */
async function withTexts<R>(
  change: ((text: string) => string) | undefined,
  f: () => Promise<R>,
): Promise<{ given: R; texts: number }> {
  const { prototype } = (gpuJs as { WebGL2Kernel: { prototype: GlText } }).WebGL2Kernel
  const kept = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(prototype), 'getFragmentShader')!
  let texts = 0
  Object.defineProperty(prototype, 'getFragmentShader', {
    configurable: true,
    get: () => kept.value as Write,
    // What a device would have a kernel be compiled from.
    set(this: object, value: Write) {
      texts++
      if (change !== undefined)
        Object.defineProperty(this, 'getFragmentShader', { value: (args: unknown) => change(value(args)) })
    },
  })
  try {
    return { given: await f(), texts }
  } finally {
    Reflect.deleteProperty(prototype, 'getFragmentShader')
  }
}

/** Values of ops that are written in several ways. */
function severalOps(): Tensor[] {
  const [a, b] = [1, 2].map((seed) => random.uniform([32, 32], { seed, min: -1 }).add(0)) as [Tensor, Tensor]
  const [w, m] = [variable(a), variable(b)]
  const step = compile((x: Tensor) => {
    const next = m.mul(0.5).add(x)
    m.assign(next)
    w.assign(w.sub(next.mul(0.25)))
    return next.mean()
  })
  return [
    matmul(a, b),
    matmul(a, b, true, false),
    softmax(a),
    a.mul(b).sum([0]),
    a.slice([1, 3], [7, 5]).exp(),
    // Side by side, and at once.
    ...compile((x: Tensor, y: Tensor) => [x.mul(y), x.mean([0]).exp(), y.add(x.mean())])(a, b),
    step(b),
    step(b),
    w.detach(),
    m.detach(),
  ]
}

/** How far they are from the CPU's on WebGL. */
async function apartOnGl(): Promise<number> {
  const values = (): number[][] => severalOps().map((x) => Array.from(x.dataSync(), Number))
  const want = withBackend(cpuBackend, values)
  const got = withBackend(await createGpuBackend({ prefer: ['webgl2'], allowSoftware: true }), values)
  return Math.max(...got.flatMap((x, at) => x.map((v, i) => Math.abs(v - want[at]![i]!))))
}

/** A text that compiles, but asks of the vertex shader what that does not give. */
const unlinked = (text: string): string =>
  text
    .replace('void main(', 'in highp vec4 missing;\nvoid main(')
    .replace(/\}\s*$/, 'if (missing.x == 1.0) discard;\n}')

/** How far values are from the CPU's where gpu.js or the driver takes no text but gpu.js' own, and how many were offered. */
async function withoutOwnText(): Promise<{ apart: number[]; texts: number[] }> {
  const results: { apart: number[]; texts: number[] } = { apart: [], texts: [] }
  for (const change of [undefined, (text: string) => `${text}\nnonsense`, unlinked]) {
    const { given, texts } = await withTexts(change, apartOnGl)
    results.apart.push(given)
    results.texts.push(texts)
  }
  return results
}

/** What `f` gives while a function of WebGL is another one. */
async function withGl<N extends 'shaderSource' | 'checkFramebufferStatus', R>(
  name: N,
  change: (given: WebGL2RenderingContext[N]) => WebGL2RenderingContext[N],
  f: () => R,
): Promise<Awaited<R>> {
  const { prototype } = WebGL2RenderingContext
  const given = prototype[name]
  prototype[name] = change(given)
  try {
    return await f()
  } finally {
    prototype[name] = given
  }
}

/** The fragment shaders that several ops are compiled from. */
async function ownTexts(): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: ['webgl2'], allowSoftware: true })
  const texts: string[] = []
  await withGl(
    'shaderSource',
    (given) =>
      function (this: WebGL2RenderingContext, shader, text) {
        if (text.includes('void kernel()') || text.includes('four0')) texts.push(text)
        given.call(this, shader, text)
      },
    () => withBackend(gpu, () => severalOps().map((x) => x.dataSync())),
  )
  return texts
}

/** How far values are from the CPU's where the driver writes no four textures at once, and how often it was asked. */
async function withoutFour(): Promise<{ apart: number; asked: number }> {
  let asked = 0
  const unsupported = (): number => {
    asked++
    return WebGL2RenderingContext.FRAMEBUFFER_UNSUPPORTED
  }
  const apart = await withGl('checkFramebufferStatus', () => unsupported, apartOnGl)
  return { apart, asked }
}

/** What programs give that are run again after more were made than are kept, the first one once in between. */
async function forgotten(): Promise<{ values: number[][]; compiled: number[] }> {
  const device = await OPENERS.webgl2({ allowSoftware: true, mostBytes: 2 ** 20 })
  const x = device.upload(Float32Array.of(1, 2, 3, 4))
  const programs = [1, 2].map((n) =>
    device.program(`times ${n}`, () => ({
      args: [['x', 'array']],
      body: `return x[this.thread.x] * ${n};`,
      glsl: [0, 1, 2, 3]
        .map((i) => `four${i} = ${n}.0 * texelFetch(user_x, ivec2(0), 0) + ${i}.0;`)
        .join('\n'),
    })),
  )
  const read = (storage: Storage): number[] => [...device.readSync!(storage)]
  let texts = 0
  const compiled: number[] = []
  const values = await withGl(
    'shaderSource',
    (given) =>
      function (this: WebGL2RenderingContext, shader, text) {
        if (text.includes('user_x')) texts++
        given.call(this, shader, text)
      },
    () => {
      const run = (program: Program): number[][] => [
        read(device.run(program, [x], 4)),
        ...device.runFour!(program, [x], 4)!.map(read),
      ]
      const found = programs.flatMap(run)
      compiled.push(texts)
      const more = (from: number): void => {
        for (let i = from; i < from + 600; i++)
          device.program(`more ${i}`, () => ({ args: [], body: 'return 0;' }))
      }
      more(0)
      found.push(...run(programs[0]!))
      more(600)
      compiled.push(texts)
      found.push(...run(programs[0]!))
      compiled.push(texts)
      found.push(...run(programs[1]!))
      compiled.push(texts)
      return found
    },
  )
  return { values, compiled }
}

/** What a kernel that no driver takes leaves behind. */
async function failed(): Promise<{ error: string; before: unknown; after: unknown }> {
  const device = await OPENERS.webgl2({ allowSoftware: true, mostBytes: 2 ** 20 })
  const x = device.upload(Float32Array.of(1, 2, 3, 4))
  const before = device.held
  const error = await withGl(
    'shaderSource',
    (real) =>
      function (this: WebGL2RenderingContext, shader, text) {
        real.call(this, shader, text.replace('void kernel()', 'nonsense'))
      },
    () => {
      try {
        device.run(
          device.program('bad', () => ({ args: [['x', 'array']], body: 'return x[this.thread.x];' })),
          [x],
          4,
        )
        return 'no error'
      } catch (thrown) {
        return String(thrown)
      }
    },
  )
  return { error, before, after: device.held }
}

/** What is said where a driver computes shaders otherwise than they say. */
async function wrongTexts(): Promise<string[]> {
  const errors: string[] = []
  for (const change of [
    (text: string) => text.replace(/\bkernelResult\);/, 'kernelResult + 1.0);'),
    (text: string) => text.replace('four3 = 3.0', 'four3 = 4.0'),
  ]) {
    const { given } = await withTexts(change, () =>
      createGpuBackend({ prefer: ['webgl2'], allowSoftware: true }).then(() => 'no error', String),
    )
    errors.push(given)
  }
  return errors
}

/** Over a budget of 1 MiB values move to the host and come back. */
async function spill(mode: GpuMode): Promise<number[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true, maxBytes: 2 ** 20 })
  const results = withBackend(gpu, () => {
    const kept = Array.from({ length: 12 }, (_, i) => ones([2 ** 16]).mul(i))
    return kept.map((x) => x.add(1).mean())
  })
  return results.map((x) => x.dataSync()[0]!)
}

/** Traps that a mode falls into. */
async function pitfalls(mode: GpuMode, isFull: boolean): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  setBackend(gpu)
  const fallen: string[] = []
  try {
    for (const { name, run, isSlow } of traps) {
      if (isSlow === true && !isFull) continue
      const [got, want] = (await run().catch((error: unknown) => [String(error), 'no error'])).map((x) =>
        JSON.stringify(x, (_, value: unknown) => (typeof value === 'number' ? String(value) : value)),
      )
      if (got !== want) fallen.push(`${name}: ${got}, want ${want}`)
    }
  } finally {
    setBackend(cpuBackend)
  }
  return fallen
}

/** What rows do otherwise than the CPU. */
async function rows(mode: GpuMode, names: readonly string[]): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const name of names)
    try {
      wrong.push(...(await rowDifferences(gpu, table.get(name)!, 5)))
    } catch (error) {
      wrong.push(`${name}: ${String(error).slice(0, 500)}`)
    }
  return wrong
}

/** Where functions are less accurate than they promise. */
async function ulps(mode: GpuMode, tables: readonly UlpTable[]): Promise<string[]> {
  setBackend(await createGpuBackend({ prefer: [mode], allowSoftware: true }))
  const wrong: string[] = []
  try {
    for (const table of tables) wrong.push(...(await inaccuracies(table)))
  } finally {
    setBackend(cpuBackend)
  }
  return wrong
}

/** What formulas give at their edges that they do not give on the CPU. */
async function edges(mode: GpuMode, names: readonly string[]): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const name of names) wrong.push(...(await edgeDifferences(gpu, table.get(name)!)))
  return wrong
}

/** What random programs do otherwise than the CPU. */
async function programs(mode: GpuMode, count: number): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const [i, program] of randomPrograms(count).entries())
    for (const found of await programDifferences(gpu, program)) wrong.push(`program ${i}: ${found}`)
  return wrong
}

/**
 * Losses of a small training on the CPU and on the GPU, and how many buffers more steps have added there, once fit goes
 * ahead of its losses.
 */
async function training(mode: GpuMode): Promise<{ want: unknown; got: unknown; added: number }> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const losses = async (epochs: readonly number[]): Promise<{ losses: number[]; buffers: number[] }> => {
    setSeed(7)
    const x = input({ shape: [10] })
    const h = dropout(0.2)(dense(16, { activation: 'relu' })(x))
    const m = model({ inputs: x, outputs: dense(1)(h) })
    m.compile({ optimizer: 'adam', loss: 'mse', metrics: ['mae'] })
    const data = random.uniform([48, 10], { seed: 1 })
    const targets = random.uniform([48, 1], { seed: 2 })
    const found: { losses: number[]; buffers: number[] } = { losses: [], buffers: [] }
    for (const count of epochs) {
      const { history } = await m.fit(
        await data.data().then((d) => tensor(d, { shape: [48, 10] })),
        targets,
        {
          epochs: count,
          batchSize: 16,
          verbose: 0,
        },
      )
      found.losses.push(...history.loss.map((loss) => Math.round(loss * 1e4) / 1e4))
      found.buffers.push(gpu.memory().buffers)
    }
    return found
  }
  setBackend(cpuBackend)
  const want = await losses([8, 8])
  setBackend(gpu)
  try {
    const got = await losses([8, 8])
    return { want: want.losses, got: got.losses, added: got.buffers[1]! - got.buffers[0]! }
  } finally {
    setBackend(cpuBackend)
  }
}

/** A long loop without an await, of steps that together need many times the budget, and what it gave. */
async function loop(mode: GpuMode): Promise<number> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true, maxBytes: 2 ** 20 })
  const w = variable(zeros([2 ** 12]))
  withBackend(gpu, () => {
    for (let i = 0; i < 150; i++)
      scope(() => {
        const { grads } = valueAndGrads(() => w.sub(1).square().mean(), [w])
        w.assign(w.sub(grads[0]!.mul(1000)))
      })
  })
  return (await w.data())[0]!
}

/** How an op that makes a NaN is found on WebGL. */
async function anomaly(mode: GpuMode): Promise<string> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  return withBackend(gpu, () => {
    try {
      detectAnomalies(() => tensor([1]).sub(2).log())
      return 'nothing'
    } catch (error) {
      return String(error)
    }
  })
}

/** What is said and what is left when the context is lost. */
async function lose(): Promise<{ errors: string[]; weights: number[]; now: number[] }> {
  const contexts: { getExtension(name: string): { loseContext(): void } | null }[] = []
  const canvases = [globalThis.OffscreenCanvas, globalThis.HTMLCanvasElement].map((one) => one.prototype)
  const before = canvases.map((canvas) => canvas.getContext)
  for (const [i, canvas] of canvases.entries())
    Object.assign(canvas, {
      getContext(this: object, ...args: unknown[]) {
        const context = (before[i] as (...given: unknown[]) => never).apply(this, args)
        contexts.push(context)
        return context
      },
    })
  const gpu = await createGpuBackend({ prefer: ['webgl2'], allowSoftware: true })
  for (const [i, canvas] of canvases.entries()) Object.assign(canvas, { getContext: before[i] })
  setBackend(gpu)
  try {
    const w = variable([1, 2])
    w.assign(w.add(1))
    const known = [...w.dataSync()]
    w.assign(w.add(1))
    const made = tensor([1]).add(1)
    for (const context of contexts) context?.getExtension('WEBGL_lose_context')?.loseContext()
    const errors = [() => made.add(1), () => made.dataSync(), () => grad((x: Tensor) => x.sum())(made)].map(
      (f) => {
        try {
          f()
          return 'no error'
        } catch (error) {
          return String(error)
        }
      },
    )
    const weights = [...(await w.data())]
    const next = await createGpuBackend({ prefer: ['webgl2'], allowSoftware: true })
    const now = [...(await withBackend(next, () => w.mul(2)).data())]
    return { errors: [...errors, String(known)], weights, now }
  } finally {
    setBackend(cpuBackend)
  }
}

/** What plans do otherwise than they have to, or than the CPU where they train. */
async function plans(mode: GpuMode, isFull: boolean): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const one of planCases) {
    const [got, want] = (
      await runPlanCase(gpu, one).catch((error: unknown) => [String(error), 'no error'])
    ).map((x) => JSON.stringify(x))
    if (got !== want) wrong.push(`${one.name}: ${got}, want ${want}`)
  }
  const all: readonly Trainable[] = isFull ? ['B1', 'B3', 'B4'] : ['B3']
  for (const name of all) wrong.push(...(await trainedApart(gpu, name, isFull ? 12 : 3)).wrong)
  return wrong
}

export const page = {
  edges,
  ulps,
  pitfalls,
  anomaly,
  vectors,
  info,
  matmuls,
  withoutOwnText,
  ownTexts,
  withoutFour,
  wrongTexts,
  forgotten,
  failed,
  spill,
  plans,
  rows,
  programs,
  training,
  loop,
  lose,
}
Object.assign(globalThis, { adjointPage: page })
