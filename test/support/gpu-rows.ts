/** Rows and random programs on a GPU, against the CPU: in Node and in the browser. */
import { fc } from '@fast-check/vitest'
import { cast, compile, setBackend, type Backend, type Tensor, tensor, vjp } from '@adjoint/core'
import { type AnyRow, apply, cpuBackend, isFloat } from '@adjoint/core/extend'
import { arbitraries, type Program } from '@adjoint/core/testing'
import { sampleOf } from './samples.js'

/** The same values in float32 on the backend of now; what is whole stays whole. */
function here(x: Tensor): Tensor {
  const dtype = isFloat(x.dtype) ? 'float32' : x.dtype
  return tensor(x.dataSync(), { shape: x.shape, dtype })
}

function on<R>(backend: Backend, f: () => R): R {
  setBackend(backend)
  try {
    return f()
  } finally {
    setBackend(cpuBackend)
  }
}

/**
 * Both are float32 results of the same numbers, so they differ by rounding: of sums, whose terms may be larger than
 * the result (hence the part of the largest value), and of functions, see MOST_ULPS in vectors.test.ts.
 */
async function difference(got: Tensor, want: Tensor, inputs: readonly Tensor[]): Promise<string | undefined> {
  if (String(got.shape) !== String(want.shape))
    return `shape [${got.shape.join()}], want [${want.shape.join()}]`
  if (got.dtype !== want.dtype) return `${got.dtype}, want ${want.dtype}`
  const [a, b] = [await got.data(), await want.data()]
  const finite = [b, ...inputs.map((x) => x.dataSync())].flatMap((xs) =>
    Array.from(xs).filter(Number.isFinite),
  )
  const scale = finite.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  for (let i = 0; i < b.length; i++) {
    const isSame = Object.is(a[i], b[i]) || a[i] === b[i]
    if (!isSame && !(Math.abs(a[i]! - b[i]!) <= 1e-5 * scale + 1e-4 * Math.abs(b[i]!)))
      return `[${i}] is ${a[i]}, on the CPU ${b[i]}`
  }
  return undefined
}

/** What a row does not do as the CPU does, over some samples; as plans where asked. */
export async function rowDifferences(
  gpu: Backend,
  row: AnyRow,
  samples: number,
  asPlan: boolean = false,
): Promise<string[]> {
  const sample = sampleOf(row)
  const wrong: string[] = []
  const cases = fc.sample(sample.smooth ?? sample.any, { numRuns: samples, seed: asPlan ? 2 : 1 })
  for (const { inputs, attrs } of cases) {
    const f = (...xs: Tensor[]): Tensor => apply(row, xs, attrs as never)
    const want = on(cpuBackend, () => f(...inputs.map(here)))
    const got = on(gpu, () => (asPlan ? compile(f) : f)(...inputs.map(here)))
    const found = await difference(got, want, inputs)
    if (found !== undefined) wrong.push(`${row.name}: ${found}`)
  }
  return wrong
}

/** Where functions have their edges. */
const EDGES = [0, 1, -1, 0.5, 2, -2, 3.5, -3.5, 1e-20, -1e-20, 1e20, -1e20, Infinity, -Infinity, NaN]

/** Where the README promises less than the CPU's value, or where the CPU has no better one. */
const LOOSE: Readonly<Record<string, (x: number, y: number, got: number) => boolean>> = {
  sin: (x, _, got) => Math.abs(x) > 8192 && Math.abs(got) <= 1,
  cos: (x, _, got) => Math.abs(x) > 8192 && Math.abs(got) <= 1,
  tan: (x) => Math.abs(x) > 8192,
  fmod: (x, y, got) => Math.abs(x / y) > 2 ** 64 && Math.abs(got) <= Math.abs(y),
  mod: (x, y, got) => Math.abs(x / y) > 2 ** 64 && Math.abs(got) <= Math.abs(y),
  geluTanhSlope: (x, _, got) => x === -Infinity && got === 0,
}

/** What a formula of one or two arguments gives at its edges that it does not give on the CPU. */
export async function edgeDifferences(gpu: Backend, row: AnyRow): Promise<string[]> {
  if (row.fn === undefined || row.fn.params.length > 0 || row.args.length > 2) return []
  const pairs = row.args.length === 1 ? EDGES.map((x) => [x]) : EDGES.flatMap((x) => EDGES.map((y) => [x, y]))
  const run = (): Tensor =>
    apply(
      row,
      row.args.map((_, i) => tensor(pairs.map((pair) => pair[i]!)).add(0)),
      {},
    )
  const [got, want] = [await on(gpu, run).data(), on(cpuBackend, run).dataSync()]
  return pairs.flatMap((pair, i) => {
    const [a, b] = [got[i]!, want[i]!]
    const isSame = Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-4 * Math.abs(b) + 1e-30
    const isLoose = LOOSE[row.name]?.(pair[0]!, pair[1] ?? NaN, a) === true
    return isSame || isLoose ? [] : [`${row.name}(${pair.join(', ')}) is ${a}, on the CPU ${b}`]
  })
}

export function programs(count: number): Program[] {
  return fc.sample(arbitraries(fc).program(), { numRuns: count, seed: 1 })
}

/** What a program and its gradients give that they do not give on the CPU; as a plan where asked. */
export async function programDifferences(
  gpu: Backend,
  program: Program,
  asPlan: boolean = false,
): Promise<string[]> {
  const run = (): { outs: Tensor[]; grads: Tensor[] } => {
    const [outs, pullback] = vjp(program.run, program.inputs.map(here))
    return { outs, grads: pullback(outs.map((out) => cast(out, out.dtype))) }
  }
  const want = on(cpuBackend, run)
  const got = on(gpu, asPlan ? compile(run) : run)
  const wrong: (string | undefined)[] = []
  for (const [i, out] of got.outs.entries()) wrong.push(await difference(out, want.outs[i]!, program.inputs))
  for (const [i, g] of got.grads.entries())
    wrong.push(await difference(g, want.grads[i]!, [...want.outs, ...program.inputs]))
  return wrong.filter((found) => found !== undefined)
}
