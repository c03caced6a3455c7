// No library: what the core and the memory can do at most, in the same process and rounds as everybody else.
import { ADAM_TILES } from '../cases.js'
import { type Inputs, type Prepared, serve } from '../protocol.js'

interface WebAssemblyHost {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> }
}
const host = (globalThis as unknown as { readonly WebAssembly: WebAssemblyHost }).WebAssembly

/** As many sums of products as registers hold: enough for the latency of two ops, two at a time. */
const CHAINS = 14
const UNROLLED = 4
const LANES = 4
/** Floating point operations of one turn of the loop. */
const PER_TURN = UNROLLED * CHAINS * LANES * 2

/** (turns) → a number: `turns` times x = x · a + b for 14 independent x of four float32 each. */
function multiplyAdd(): (turns: number) => number {
  const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)])
  const section = (id: number, bytes: readonly number[]): number[] => [
    id,
    ...unsigned(bytes.length),
    ...bytes,
  ]
  const vector = (op: number): number[] => [0xfd, ...unsigned(op)]
  const [splat, add, mul, lane] = [vector(19), vector(228), vector(230), [...vector(31), 0]]
  const get = (local: number): number[] => [0x20, local]
  const set = (local: number): number[] => [0x21, local]
  const constant = (value: number, local: number): number[] => [
    0x43,
    ...new Uint8Array(new Float32Array([value]).buffer),
    ...splat,
    ...set(local),
  ]

  const xs = Array.from({ length: CHAINS }, (_, i) => i + 1)
  const [a, b] = [CHAINS + 1, CHAINS + 2]
  const body = [
    xs.flatMap((x) => constant(x, x)),
    constant(0.999, a),
    constant(0.001, b),
    [0x03, 0x40], // loop
    Array.from({ length: UNROLLED }, () =>
      xs.flatMap((x) => [...get(x), ...get(a), ...mul, ...get(b), ...add, ...set(x)]),
    ).flat(),
    [...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b], // until --turns is 0
    [...get(1), ...xs.slice(1).flatMap((x) => [...get(x), ...add]), ...lane, 0x0b],
  ].flat()
  const code = [1, CHAINS + 2, 0x7b, ...body]
  const bytes = [
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, [1, 0x60, 1, 0x7f, 1, 0x7d]),
    section(3, [1, 0]),
    section(7, [1, 1, 'f'.charCodeAt(0), 0, 0]),
    section(10, [1, ...unsigned(code.length), ...code]),
  ].flat()
  const { exports } = new host.Instance(new host.Module(new Uint8Array(bytes)))
  return exports['f'] as (turns: number) => number
}

/** As many operations as the product has. */
function product({ a }: Inputs): Prepared {
  const f = multiplyAdd()
  const turns = Math.max(1, Math.round((2 * a!.shape[0]! ** 3) / PER_TURN))
  let sum = 0
  return {
    results: () => [],
    run(times) {
      for (let i = 0; i < times; i++) sum += f(turns)
      if (!Number.isFinite(sum)) throw new Error(`the sum became ${sum}`)
    },
  }
}

/** A copy of as many bytes as Adam reads and writes, half of them read. */
function copy({ w }: Inputs): Prepared {
  const from = new Float32Array((w!.values.length * ADAM_TILES * 7) / 2).fill(1)
  const to = new Float32Array(from.length)
  return {
    results: () => [],
    run(times) {
      for (let i = 0; i < times; i++) to.set(from)
    },
  }
}

await serve(() => ({
  versions: {},
  programs: {
    ...Object.fromEntries(['', '-tn', '-nt', '-tt'].map((form) => [`matmul${form}`, product])),
    adam: copy,
  },
}))
