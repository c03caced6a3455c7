import { BYTES } from '../dtype.js'
import { choose } from '../wasm/choose.js'
import type { Code, Local } from '../wasm/code.js'
import { divide } from '../wasm/divide.js'
import type { Lanes } from '../wasm/lanes.js'
import { loadOnce, writeSteps } from '../wasm/map.js'
import type { Epilogue } from '../wasm/matmul.js'
import { keep } from '../wasm/vector-math.js'
import { reachOf, type Window, type Windows } from './fuse.js'
import type { Program, ValueId } from './program.js'
import { keyOf, NO_WINDOWS, weave } from './weave.js'
import type { Writing } from './writing.js'

/** A product of matrices whose tiles elementwise kernels finish before they are stored. */
export function productWriting(
  program: Program,
  product: ValueId,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
  windows: Windows,
): Writing {
  const { values } = program
  const { source: from, shape } = values[product]!
  if (from.kind !== 'kernel') throw new Error('no product')
  const { kernel } = from
  const ins = from.inputs.map((input) => values[input]!)
  const choice = choose(kernel, ins, values[product]!)!
  const { writer, sizes, scratch } = choice
  const reach = (id: ValueId): ReturnType<typeof reachOf> => reachOf(values[id]!.shape, shape)
  const { source, inputs, slots } = weave(program, members, isStored, NO_WINDOWS, (id) => reach(id) === 'one')
  const others = inputs.filter((id) => id !== product)
  const given = others.map((id): ValueId | Window => windows.from.get(id) ?? id)
  const all = [product, ...members]
  /** What is stored, and where; the tiles themselves in the place that comes last. */
  const outputs: { readonly id: ValueId; readonly at: ValueId | Window }[] = [
    ...all.flatMap((id) => (windows.into.has(id) ? [{ id, at: windows.into.get(id)! }] : [])),
    ...all.filter(isStored).map((id) => ({ id, at: id })),
  ]
  const main = outputs.at(-1)!
  const rowBytes = shape.at(-1)! * BYTES.float32
  const stepOf = (at: ValueId | Window): number => (typeof at === 'object' ? at.step : rowBytes)
  const places = [...given, ...outputs.map(({ at }) => at)]
  const apart = places.some((at) => typeof at === 'object') ? places.map(stepOf).join() : ''
  const key = `${writer.key} ${inputs.indexOf(product)} ${outputs.map(({ id }) => all.indexOf(id)).join()}`
  return {
    key: `${key} ${apart} ${inputs.map(reach).join()} ${keyOf(source)}`,
    operands: [...from.inputs, ...given, ...slots.map((slot) => ({ slot })), ...outputs.map(({ at }) => at)],
    sizes,
    scratch,
    divide() {
      const division = divide(kernel, ins, choice)
      if (division === undefined) return undefined
      const { steps, size, perUnit } = division
      // Columns, which rows of them move on with, or rows.
      const along = size === 1 ? perUnit * BYTES.float32 : 0
      const move = (at: ValueId | Window): number => (size === 1 ? along : perUnit * stepOf(at))
      const moves = others.map((id, i) => ({ all: move(given[i]!), row: along, one: 0 })[reach(id)!])
      return {
        ...division,
        steps: [...steps.slice(0, 2), ...moves, ...slots.map(() => 0), ...outputs.map(({ at }) => move(at))],
      }
    },
    leastParts: 1,
    write: (c, addresses, own, whole) => {
      const count = from.inputs.length
      const otherAt = (id: ValueId): Local => addresses[count + others.indexOf(id)]!
      const first = count + others.length + slots.length
      const to = addresses.slice(first, first + outputs.length)
      const mainAt = to.at(-1)!
      const walks: { start: Local; step: number }[] = []
      /** What has rows as far apart as the place of the tiles lies as far from it everywhere. */
      const placeOf = (start: Local, at: ValueId | Window): Place => {
        const step = stepOf(at)
        if (step !== stepOf(main.at)) return { walk: walks.push({ start, step }) - 1 }
        const distance = c.local('i32')
        c.op(start, mainAt, 'i32.sub').set(distance)
        return { distance }
      }
      const known = new Map<ValueId, Lanes>()
      const read = new Map<ValueId, Place>()
      others.forEach((id, i) => {
        if (reach(id) === 'one') known.set(id, loadOnce(c, otherAt(id), 'float32'))
        else if (reach(id) === 'all') read.set(id, placeOf(otherAt(id), given[i]!))
      })
      const numbers = slots.map((_, i) => loadOnce(c, addresses[count + others.length + i]!, 'float64'))
      const written = outputs.slice(0, -1).map(({ id, at }, i) => ({ id, place: placeOf(to[i]!, at) }))
      const finish: Epilogue['finish'] = (sums, column, at, offset, walked) => {
        const address = (place: Place): Code =>
          'walk' in place ? c.op(walked[place.walk]!) : c.op(at, place.distance, 'i32.add')
        const load = (id: ValueId): Lanes => {
          if (id === product) return { kind: 'single', all: sums }
          const place = read.get(id)
          if (place === undefined) c.op(otherAt(id), column, 'i32.add')
          else address(place)
          return { kind: 'single', all: keep(c, () => c.memory('v128.load', offset)) }
        }
        const results = writeSteps(c, source, [...inputs.map((id) => known.get(id) ?? load(id)), ...numbers])
        const vectorOf = (id: ValueId): Local => {
          const lanes: Lanes = id === product ? { kind: 'single', all: sums } : results[members.indexOf(id)]!
          if (lanes.kind !== 'single') throw new Error('not float32')
          return lanes.all
        }
        for (const { id, place } of written) address(place).get(vectorOf(id)).memory('v128.store', offset)
        return vectorOf(main.id)
      }
      const step = typeof main.at === 'object' ? main.at.step : undefined
      const [a, b] = addresses
      writer.write(c, [a!, b!, mainAt], own, addresses.at(-1)!, { step, others: walks, finish }, whole)
    },
  }
}

/** Where rows are: as far from another place everywhere, or gone along by themselves. */
type Place = { readonly distance: Local } | { readonly walk: number }
