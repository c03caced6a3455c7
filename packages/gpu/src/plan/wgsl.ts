import { inputsOf, type Program, sizeOf, type ValueId } from '@adjoint/core/extend'
import { type Language, WGSL } from './language.js'
import { type Place, SLOTS, spanOf } from './text.js'
import { Writer } from './writer.js'

/** Threads of one group; each value's begin with a group of their own. */
const GROUP = 64

const HERE = 'here'

/** Where arrays are of four values an element. */
const WGSL_BY_FOURS: Language = {
  ...WGSL,
  read: (array, at) => `user_${array}[(${at}) >> 2u][(${at}) & 3]`,
}

/** Products of fewer elements than this are computed one by one, so that enough threads share the work. */
const LEAST_FOR_TILES = 1024

/**
 * A dispatch in WGSL, from its entry point on, and how many threads it takes. What gpu.js has no words for: a thread
 * writes a tile of a product, or several values that share what they are computed from.
 */
export function shaderOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): { readonly wgsl: string; readonly threads: number; readonly readsVectors: boolean } {
  const parts: string[] = []
  let threads = 0
  const readsVectors = outs.some((id) => productsIn(program, id, isLoaded).length > 0)
  const language = readsVectors ? WGSL_BY_FOURS : WGSL
  const groups = groupsOf(language, program, outs, isLoaded, placeOf)
  for (const { template, members } of groups) {
    const begin = threads
    const ends = members.map(({ count }) => (threads += count))
    parts.push(
      groups.length === 1
        ? `if (t >= ${threads}) { return; }`
        : // A loop and no branch, which costs software more.
          `for (var mine = t >= ${begin} && t < ${threads}; mine; mine = false) {`,
      ...(members.length === 1 ? [`let here = t - ${begin};`] : []),
      filled(
        language,
        template,
        members.map(({ leaves }) => leaves),
        [begin, ...ends],
      ),
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
  // gpu.js puts this before the names of functions.
  return {
    wgsl: wgsl.replace(/\b(?=(?:fn[A-Z]\w*|toInt32|toUint8|position)\()/g, 'fn_'),
    threads,
    readsVectors,
  }
}

/** What one thread does, with what it reads and writes at its own position left open. */
interface Member {
  readonly count: number
  readonly leaves: readonly Place[]
}
interface GroupOfThreads {
  readonly template: string
  readonly members: Member[]
}

/** Threads that do the same to other places, such as an optimizer to parameters, are one group. */
function groupsOf(
  language: Language,
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): GroupOfThreads[] {
  const groups = new Map<string, GroupOfThreads>()
  for (const together of bundlesOf(program, outs, isLoaded)) {
    const leaves: Place[] = []
    const leaf = (place: Place): string => `leaf(${leaves.push(place) - 1})`
    const load = (id: ValueId, at: string): string => {
      const { array, at: from } = placeOf(id)
      if (at === HERE) return leaf({ array, at: from })
      return language.read(array, at === '0' ? String(from) : from === 0 ? at : `${at} + ${from}`)
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
    const products = together.length === 1 ? productsIn(program, first, isLoaded) : []
    let count = sizeOf(shape)
    const stores: string[] = []
    if (products.length > 0) {
      const [m, n] = shape.slice(-2) as [number, number]
      count = (count / m / n) * Math.ceil(m / 4) * Math.ceil(n / 4)
      const { at: from } = placeOf(first)
      writer.tile(first, products, HERE, (at, value) => `result[${at} + ${from}] = ${value};`)
    } else
      for (const id of together) {
        const value = writer.write(id, HERE)
        stores.push(`${leaf({ array: 'result', at: placeOf(id).at })} = ${value};`)
      }
    const template = [writer.lines, ...stores].join('\n')
    // Only what reads nothing but its own position can stand anywhere.
    const isFlat = !new RegExp(`\\b${HERE}\\b`).test(template)
    const key = isFlat ? template : `${first}`
    // Where values lie is padded to a multiple of four, and so are threads that go from one to the next.
    if (isFlat) count = spanOf(shape)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { template, members: [{ count, leaves }] })
    else group.members.push({ count, leaves })
  }
  return [...groups.values()]
}

/** The template for all of its members, each of which lies between two ends. */
function filled(
  language: Language,
  template: string,
  members: readonly (readonly Place[])[],
  ends: readonly number[],
): string {
  /** Of texts by member the one for this thread. */
  const choice = (texts: readonly (number | string)[]): string =>
    texts
      .slice(1)
      .reduce<string>(
        (before, text, m) => (text === texts[m] ? before : `select(${before}, ${text}, t >= ${ends[m + 1]})`),
        String(texts[0]),
      )
  const index = (places: readonly Place[]): string =>
    places[0]!.at < 0
      ? choice(places.map(({ at }) => -1 - at))
      : `t + ${choice(places.map(({ at }, m) => at - ends[m]!))}`
  const before: string[] = []
  const filledIn = template.replace(/leaf\((\d+)\)/g, (_, text: string) => {
    const leaf = Number(text)
    const places = members.map((own) => own[leaf]!)
    const arrays = [...new Set(places.map(({ array }) => array))]
    if (arrays[0] === 'result') return `result[${index(places)}]`
    // Where they are in several arrays, each is read, and the right one taken.
    const reads = arrays.map((array) => {
      const nearest = (m: number): Place =>
        places.find((place, i) => i >= m && place.array === array) ??
        places.findLast((place) => place.array === array)!
      return language.read(array, index(places.map((_, m) => ({ array, at: nearest(m).at }))))
    })
    before.push(
      `let leaf${leaf} : f32 = ${choice(places.map(({ array }) => reads[arrays.indexOf(array)]!))};`,
    )
    return `leaf${leaf}`
  })
  return [...before, filledIn].join('\n')
}

/** Values of one size, where some are computed from others on the way: a thread computes an element of each. */
function bundlesOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
): readonly ValueId[][] {
  const sizeFor = (id: ValueId): number => sizeOf(program.values[id]!.shape)
  let bundles: ValueId[][] = []
  for (const id of [...outs].sort((a, b) => a - b)) {
    const inner = inlinedIn(program, id, isLoaded)
    const isMine = (bundle: readonly ValueId[]): boolean =>
      sizeFor(bundle[0]!) === sizeFor(id) && bundle.some((other) => inner.has(other))
    const mine = bundles.filter(isMine)
    bundles = [...bundles.filter((bundle) => !mine.includes(bundle)), [...mine.flat(), id]]
  }
  return bundles
}

/** What is computed on the way to a value. */
function inlinedIn(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): Set<ValueId> {
  const found = new Set<ValueId>()
  const visit = (at: ValueId): void => {
    for (const input of inputsOf(program.values[at]!.source)) {
      if (isLoaded(input) || found.has(input)) continue
      found.add(input)
      visit(input)
    }
  }
  visit(id)
  return found
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
