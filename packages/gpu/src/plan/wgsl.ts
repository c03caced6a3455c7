import { inputsOf, type Program, sizeOf, type ValueId } from '@adjoint/core/extend'
import { filled, filledByFours } from './fill.js'
import { type Language, WGSL } from './language.js'
import { asWgsl } from '../text.js'
import { gathered, type Group, HERE, type Place, shifted, SLOTS, spanOf, standsAnywhere } from './text.js'
import { LEAST_FOR_TILES, lengthOf, type Tile, Writer } from './writer.js'

/** Threads of one group; each value's begin with a group of their own. */
const GROUP = 64

/** Where arrays are of four values an element. */
const WGSL_BY_FOURS: Language = {
  ...WGSL,
  read: (array, at) => `user_${array}[(${at}) >> 2u][(${at}) & 3]`,
}

/**
 * A dispatch in WGSL, from its entry point on, and how many threads it takes. What gpu.js has no words for: a thread
 * writes a tile of a product, or several values that share what they are computed from.
 */
export function shaderOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
  isSoftware: boolean,
): { readonly wgsl: string; readonly threads: number; readonly readsVectors: boolean } {
  const parts: string[] = []
  let threads = 0
  const tiles = outs
    .map((id) => tileFor(program, id, isLoaded, isSoftware))
    .filter((tile) => tile !== undefined)
  const grouped = (language: Language): GroupOfThreads[] =>
    threadsOf(language, program, outs, isLoaded, placeOf, isSoftware)
  const byOnes = grouped(WGSL)
  const readsVectors =
    tiles.length > 0
      ? tiles.every((tile) => tile === SMALL_TILE) ||
        outs.every((id) => productsIn(program, id, isLoaded).every((product) => isAlong(program, product)))
      : isMostlyFlat(byOnes)
  const language = readsVectors ? WGSL_BY_FOURS : WGSL
  const groups = readsVectors ? grouped(language) : byOnes
  for (const { template, members, isFlat } of groups) {
    const begin = threads
    const leaves = members.map((member) => member.leaves)
    const endsBy = (width: number): number[] => {
      let end = begin
      return [begin, ...members.map(({ count }) => (end += count / width))]
    }
    const fours = readsVectors && isFlat ? filledByFours(language, template, leaves, endsBy(4)) : undefined
    const ends = endsBy(fours === undefined ? 1 : 4)
    threads = ends.at(-1)!
    parts.push(
      groups.length === 1 ? `if (t >= ${threads}) { return; }` : `if (t >= ${begin} && t < ${threads}) {`,
      ...(members.length === 1 ? [`let here = t - ${begin};`] : []),
      fours ?? filled(language, template, leaves, ends),
      ...(groups.length === 1 ? [] : ['}']),
    )
    threads = Math.ceil(threads / GROUP) * GROUP
  }
  const wgsl = [
    `@compute @workgroup_size(${GROUP}, 1, 1)`,
    'fn main(@builtin(global_invocation_id) gid : vec3<u32>) {',
    'let t = i32(gid.x + gid.y * params.dispatchWidth);',
    ...parts,
    '}',
  ].join('\n')
  return { wgsl: asWgsl(wgsl), threads, readsVectors }
}

/** What one thread does, with what it reads and writes at its own position left open. */
interface Member {
  readonly count: number
  readonly leaves: readonly Place[]
}
type GroupOfThreads = Group<Member>

/** Whether almost all is elementwise: then four neighbours are read at once, which costs others a little. */
function isMostlyFlat(groups: readonly GroupOfThreads[]): boolean {
  let [flat, others] = [0, 0]
  for (const group of groups)
    for (const { count } of group.members)
      if (group.isFlat) flat += count
      else others += count
  return flat >= LEAST_FOR_TILES && flat >= 8 * others
}

/** Threads that do the same to other places, such as an optimizer to parameters, are one group. */
function threadsOf(
  language: Language,
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
  isSoftware: boolean,
): GroupOfThreads[] {
  const texts = bundlesOf(program, outs, isLoaded).map((together) => {
    const leaves: Place[] = []
    const leaf = (place: Place): string => `leaf(${leaves.push(place) - 1})`
    const load = (id: ValueId, at: string): string => {
      const { array, at: from } = placeOf(id)
      if (at === HERE) return leaf({ array, at: from })
      return language.read(array, shifted(at, from))
    }
    const loadFour = (id: ValueId, at: string): string => {
      const { array, at: from } = placeOf(id)
      return `user_${array}[(${at} + ${from}) >> 2u]`
    }
    const slot = (at: number): string => leaf({ array: SLOTS, at: -1 - at })
    const writer = new Writer(
      language,
      program,
      isLoaded,
      load,
      slot,
      language === WGSL ? undefined : loadFour,
    )
    const first = together[0]!
    const { shape } = program.values[first]!
    const tile = tileFor(program, first, isLoaded, isSoftware)
    let count = sizeOf(shape)
    const stores: string[] = []
    if (tile !== undefined) {
      const [m, n] = shape.slice(-2) as [number, number]
      count = (count / m / n) * Math.ceil(m / tile[0]) * Math.ceil(n / tile[1])
      const { at: from } = placeOf(first)
      writer.tile(
        first,
        productsIn(program, first, isLoaded),
        tile,
        HERE,
        (at, value) => `result[${at} + ${from}] = ${value};`,
      )
    } else
      for (const id of together) {
        const value = writer.write(id, HERE)
        stores.push(`${leaf({ array: 'result', at: placeOf(id).at })} = ${value};`)
      }
    const template = [writer.lines, ...stores].join('\n')
    // Where values lie is padded to a multiple of four, and so are threads that go from one to the next.
    return { template, member: { count: standsAnywhere(template) ? spanOf(shape) : count, leaves } }
  })
  return gathered(texts)
}

/** Values of one size that share what they are computed from on the way: a thread computes an element of each. */
export function bundlesOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
): readonly ValueId[][] {
  const sizeFor = (id: ValueId): number => sizeOf(program.values[id]!.shape)
  let bundles: { readonly ids: ValueId[]; readonly inner: Set<ValueId> }[] = []
  for (const id of [...outs].sort((a, b) => a - b)) {
    const all = productsIn(program, id, isLoaded).length > 0 ? [] : inlinedIn(program, id, isLoaded)
    const inner = new Set([id, ...[...all].filter((other) => sizeFor(other) === sizeFor(id))])
    const mine = bundles.filter((bundle) => [...inner].some((other) => bundle.inner.has(other)))
    const together = [...mine, { ids: [id], inner }]
    bundles = [
      ...bundles.filter((bundle) => !mine.includes(bundle)),
      {
        ids: together.flatMap((bundle) => bundle.ids),
        inner: new Set(together.flatMap((bundle) => [...bundle.inner])),
      },
    ]
  }
  return bundles.map(({ ids }) => ids)
}

/** What is computed on the way to a value. */
function inlinedIn(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): Set<ValueId> {
  const found = new Set<ValueId>()
  const visit = (at: ValueId): void => {
    for (const input of inputsOf(program.values[at]!.source)) {
      if (program.values[input]!.source.kind !== 'kernel' || isLoaded(input) || found.has(input)) continue
      found.add(input)
      visit(input)
    }
  }
  visit(id)
  return found
}

/**
 * Where reading is what costs, as on adapters that compute on the CPU, tiles of long products are as large as leaves each
 * of many threads one. Their code is long, which a compiler wants to be paid for.
 */
const LARGE_TILES: readonly Tile[] = [
  [16, 8, 1],
  [8, 8, 1],
]
// A long body of a loop is slow to compile, and to run.
const SMALL_TILE: Tile = [4, 4, 4]
/** Where operands come from one place or another: SwiftShader takes minutes to compile a loop of many branches. */
const BRANCHED_TILE: Tile = [4, 4, 1]
const MANY_THREADS = 256
const MANY_TERMS = 2 ** 22

/** What one thread computes of products of this shape, of so many terms each. */
function tileOf(shape: readonly number[], length: number, isSoftware: boolean): Tile {
  const [m, n] = shape.slice(-2) as [number, number]
  const large = LARGE_TILES.find(
    ([high, wide]) => m % high === 0 && n % wide === 0 && sizeOf(shape) >= MANY_THREADS * high * wide,
  )
  return (isSoftware && sizeOf(shape) * length >= MANY_TERMS ? large : undefined) ?? SMALL_TILE
}

/** The tile for a value's products; undefined where it is computed one by one. */
function tileFor(
  program: Program,
  id: ValueId,
  isLoaded: (id: ValueId) => boolean,
  isSoftware: boolean,
): Tile | undefined {
  const products = productsIn(program, id, isLoaded)
  const [product] = products
  if (product === undefined) return undefined
  if (products.some((each) => hasBranches(program, each, isLoaded))) return BRANCHED_TILE
  return tileOf(program.values[id]!.shape, lengthOf(program, product), isSoftware)
}

/** Whether what is computed on the way to a value is put together from parts. */
function hasBranches(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): boolean {
  return [...inlinedIn(program, id, isLoaded)].some((at) => {
    const { source } = program.values[at]!
    return source.kind === 'kernel' && (source.kernel.kind === 'concat' || source.kernel.kind === 'place')
  })
}

/** Whether neighbours in a tile's rows, and in its columns, lie side by side in a product's operands. */
function isAlong({ values }: Program, product: ValueId): boolean {
  const { source } = values[product]!
  return (
    source.kind === 'kernel' &&
    source.kernel.kind === 'matmul' &&
    source.kernel.transposeA &&
    !source.kernel.transposeB
  )
}

/** The products that a value is made of element by element, where tiles of them are worth it. */
function productsIn(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): ValueId[] {
  const { shape } = program.values[id]!
  const [m, n] = shape.slice(-2)
  if (shape.length < 2 || m! < 4 || n! < 4 || sizeOf(shape) < LEAST_FOR_TILES) return []
  const found = new Set<ValueId>()
  const visit = (at: ValueId): void => {
    const { source, shape: own } = program.values[at]!
    if (source.kind !== 'kernel' || own.join() !== shape.join() || (at !== id && isLoaded(at))) return
    if (source.kernel.kind === 'matmul') found.add(at)
    if (source.kernel.kind === 'map') source.inputs.forEach(visit)
  }
  visit(id)
  return [...found]
}
