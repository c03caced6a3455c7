// What is measured, by kind: cases of one kind differ in size alone.
import type { Kind } from './contender.js'

interface KindRow {
  readonly title: string
  /** What sizes count. */
  readonly unit: string
  readonly sizes: readonly number[]
  /** Those for trying it out. */
  readonly quick: readonly number[]
}

const LENGTHS = [1e4, 1e5, 1e6, 1e7]
const BATCHES = { unit: 'batch', sizes: [32, 128, 512, 4096], quick: [32] } as const

export const KINDS: Readonly<Record<Kind, KindRow>> = {
  matmul: {
    title: 'Product of square matrices',
    unit: 'side',
    sizes: [256, 512, 1024, 2048],
    quick: [64, 128],
  },
  mul: {
    title: 'Product, element by element',
    unit: 'elements',
    sizes: LENGTHS,
    quick: [1e4],
  },
  'mul by a row': {
    title: 'Rows of 1000, each times the same row',
    unit: 'elements',
    sizes: LENGTHS,
    quick: [1e4],
  },
  exp: { title: 'Exponential function', unit: 'elements', sizes: LENGTHS, quick: [1e4] },
  'a chain of 200': {
    title: '200 products and sums in a row',
    unit: 'elements',
    sizes: [100, 1000],
    quick: [1000],
  },
  softmax: {
    title: 'Softmax of rows of 1000',
    unit: 'rows',
    sizes: [16, 128, 1024],
    quick: [16],
  },
  'read back': {
    title: 'Reading a result back',
    unit: 'values',
    sizes: LENGTHS,
    quick: [1e4],
  },
  b1: { title: 'Training step of B1: two inputs, one output', ...BATCHES },
  b2: { title: 'Training step of B2: an embedding', ...BATCHES },
  b3: { title: 'Training step of B3: three outputs', ...BATCHES },
  b4: { title: 'Training step of B4: 784-256-128-10', ...BATCHES },
}

export function isStep(kind: Kind): boolean {
  return KINDS[kind].unit === 'batch'
}

export interface GpuCase {
  readonly kind: Kind
  readonly size: number
}

export interface Choice {
  readonly isQuick: boolean
  /** Kinds, or what they begin with, commas between them; '' for all. */
  readonly only: string
  /** The largest size. */
  readonly max?: number
}

/** @throws Error where nothing begins so. */
export function casesOf({ isQuick, only, max = Infinity }: Choice): GpuCase[] {
  const kinds = Object.keys(KINDS) as Kind[]
  const chosen = only.split(',').flatMap((start) => {
    const found = kinds.filter((kind) =>
      kinds.some((one) => one === start) ? kind === start : kind.startsWith(start),
    )
    if (found.length === 0)
      throw new Error(`no kind of case begins with ${JSON.stringify(start)}; there are ${kinds.join(', ')}`)
    return found
  })
  return kinds
    .filter((kind) => chosen.includes(kind))
    .flatMap((kind) => (isQuick ? KINDS[kind].quick : KINDS[kind].sizes).map((size) => ({ kind, size })))
    .filter(({ size }) => size <= max)
}
