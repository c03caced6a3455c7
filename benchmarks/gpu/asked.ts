// How many times as fast as others ours is meant to be on an adapter that computes on the CPU, as a guard.
import { type Compared, timeOf } from './compare.js'
import type { Kind } from './contender.js'

interface Asked {
  readonly kind: Kind
  /** Undefined for all. */
  readonly size?: number
  readonly ours: string
  readonly against: string
  readonly times: number
}

const OF_STEPS = (['b1', 'b2', 'b3', 'b4'] as const).flatMap((kind) =>
  ['gpu.js webgl2', 'gpu.js webgpu'].map((name) => ({
    kind,
    size: kind === 'b4' ? 128 : 32,
    ours: `${name}, plan`,
    against: `${name}, op by op`,
    times: 3,
  })),
)

const ASKED: readonly Asked[] = [
  { kind: 'matmul', size: 512, ours: 'gpu.js webgl2', against: 'tfjs webgl', times: 0.6 },
  { kind: 'matmul', size: 512, ours: 'gpu.js webgpu', against: 'jax-js webgpu', times: 0.4 },
  ...(['mul', 'mul by a row', 'exp', 'softmax'] as const).flatMap((kind) => [
    { kind, ours: 'gpu.js webgl2', against: 'tfjs webgl', times: 1 },
    { kind, ours: 'gpu.js webgpu', against: 'tfjs webgpu', times: 1 },
  ]),
  ...OF_STEPS,
  { kind: 'b4', size: 128, ours: 'gpu.js webgl2, plan', against: 'tfjs webgl', times: 1 },
  { kind: 'b4', size: 128, ours: 'gpu.js webgpu, plan', against: 'tfjs webgl', times: 1 },
]

/** Rows of what is asked, with the worst of the sizes; none for what was not measured. */
export function askedOf(results: readonly Compared[]): string[][] {
  return ASKED.flatMap(({ kind, size, ours, against, times }) => {
    const reached = results
      .filter((result) => result.kind === kind && (size === undefined || result.size === size))
      .map((result) => ({ size: result.size, times: timeOf(result, against) / timeOf(result, ours) }))
      .filter((one) => Number.isFinite(one.times))
      .toSorted((a, b) => a.times - b.times)
    const [worst] = reached
    if (worst === undefined) return []
    const where = `${kind} ${worst.size.toLocaleString('en')}${size === undefined ? ', the worst' : ''}`
    const ok = worst.times >= times ? 'ok' : 'missed'
    return [[where, ours, against, String(times), String(Number(worst.times.toPrecision(2))), ok]]
  })
}
