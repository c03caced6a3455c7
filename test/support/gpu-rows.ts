/** Rows and random programs on a GPU, against the CPU: in Node and in the browser. */
import { fc } from '@fast-check/vitest'
import { cast, compile, setBackend, type Backend, type Tensor, tensor, vjp } from '@adjoint/core'
import { type AnyRow, apply, cpuBackend, isFloat } from '@adjoint/core/extend'
import { arbitraries, type Program } from '@adjoint/core/testing'
import { type Accuracy, accuracyOf } from '../../packages/gpu/src/accuracy.js'
import { type UlpTable, ulps32 } from './oracles.js'
import { sampleOf } from './samples.js'
import { opNamed } from './vectors.js'

/** The same values, rounded to float32, on the backend of now; what is whole stays whole. */
function here(x: Tensor, dtype: 'float32' | 'float64' = 'float32'): Tensor {
  const { shape } = x
  if (!isFloat(x.dtype)) return tensor(x.dataSync(), { shape, dtype: x.dtype })
  return tensor(Float32Array.from(x.dataSync() as ArrayLike<number>), { shape, dtype })
}

function on<R>(backend: Backend, f: () => R): R {
  setBackend(backend)
  try {
    return f()
  } finally {
    setBackend(cpuBackend)
  }
}

/** The smallest normal float32: what is below, devices may take for 0. */
const SMALLEST = 2 ** -126

/** Whether a value is as near to the right one as its row promises; `largest` is that of all operands and results. */
function isWithin({ ulps, of }: Accuracy, got: number, right: number, largest: number): boolean {
  if (got === right || Object.is(got, right)) return true
  if (Math.abs(got) < SMALLEST && Math.abs(right) < SMALLEST) return true
  return of === 'result' ? ulps32(got, right) <= ulps : Math.abs(got - right) <= ulps * 2 ** -23 * largest
}

/** The largest finite number of some tensors. */
function largestOf(values: readonly ArrayLike<number>[]): number {
  let most = 0
  for (const list of values)
    for (let i = 0; i < list.length; i++)
      if (Number.isFinite(list[i])) most = Math.max(most, Math.abs(list[i]!))
  return most
}

/** Where a row's result is further from the right one, in float64, than it promises. */
async function inaccuracy(
  row: AnyRow,
  got: Tensor,
  right: Tensor,
  inputs: readonly Tensor[],
): Promise<string | undefined> {
  if (String(got.shape) !== String(right.shape))
    return `shape [${got.shape.join()}], want [${right.shape.join()}]`
  const [a, b] = [await got.data(), Float32Array.from(right.dataSync() as ArrayLike<number>)]
  const largest = largestOf([b, ...inputs.map((x) => x.dataSync() as ArrayLike<number>)])
  for (let i = 0; i < b.length; i++)
    if (!isWithin(accuracyOf(row.name), a[i]!, b[i]!, largest)) return `[${i}] is ${a[i]}, right is ${b[i]}`
  return undefined
}

/** Both are float32 results of the same program, so they differ by rounding, some of it of terms larger than the result. */
async function difference(got: Tensor, want: Tensor, inputs: readonly Tensor[]): Promise<string | undefined> {
  if (String(got.shape) !== String(want.shape))
    return `shape [${got.shape.join()}], want [${want.shape.join()}]`
  if (got.dtype !== want.dtype) return `${got.dtype}, want ${want.dtype}`
  const [a, b] = [await got.data(), await want.data()]
  const scale = Math.max(1, largestOf([b, ...inputs.map((x) => x.dataSync() as ArrayLike<number>)]))
  for (let i = 0; i < b.length; i++) {
    const isSame = Object.is(a[i], b[i]) || a[i] === b[i]
    if (!isSame && !(Math.abs(a[i]! - b[i]!) <= 1e-5 * scale + 1e-4 * Math.abs(b[i]!)))
      return `[${i}] is ${a[i]}, on the CPU ${b[i]}`
  }
  return undefined
}

/** What a row does not do as accurately as it promises, over some samples; as plans where asked. */
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
    const right = on(cpuBackend, () => f(...inputs.map((x) => here(x, 'float64'))))
    const got = on(gpu, () => (asPlan ? compile(f) : f)(...inputs.map((x) => here(x))))
    const { dtype } = on(cpuBackend, () => f(...inputs.map((x) => here(x))))
    if (got.dtype !== dtype) wrong.push(`${row.name}: ${got.dtype}, want ${dtype}`)
    const found = await inaccuracy(row, got, right, inputs)
    if (found !== undefined) wrong.push(`${row.name}: ${found}`)
  }
  return wrong
}

/** What a function gives all over its domain that is further from the right value than it promises. */
export async function inaccuracies({ op, attrs, x, y32 }: UlpTable): Promise<string[]> {
  const y = await (opNamed(op)(attrs, tensor([...x])) as Tensor).data()
  const accuracy = accuracyOf(op)
  return x.flatMap((at, i) => {
    const right = y32[i]!
    return isWithin(accuracy, y[i]!, right, Math.max(Math.abs(at), Math.abs(right)))
      ? []
      : [`${op}(${at}) is ${y[i]}, right is ${right}: ${ulps32(y[i]!, right)} ulp`]
  })
}

/** Where functions have their edges. */
const FINITE = [0, 1, -1, 0.5, 2, -2, 3, 3.5, -3.5, 1e-36, 1e-20, -1e-20, 1e20, -1e20, 3e38, -3e38]
const EDGES = [...FINITE, Infinity, -Infinity, NaN]

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
    const accuracy = accuracyOf(row.name)
    const isAllowed = accuracy.beyond?.allows(pair[0]!, pair[1] ?? NaN, a) === true
    return isAllowed || isWithin(accuracy, a, b, largestOf([pair, [b]]))
      ? []
      : [`${row.name}(${pair.join(', ')}) is ${a}, on the CPU ${b}`]
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
    const [outs, pullback] = vjp(
      program.run,
      program.inputs.map((x) => here(x)),
    )
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
