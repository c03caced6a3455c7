import { type Program, sizeOf, type ValueId } from '@adjoint/core/extend'
import type { Device, Parts } from '../device.js'
import { type Dispatch, kindOfArray, type Schedule } from './schedule.js'
import type { Placed, Tensors } from './tensors.js'
import { type Place, SLOTS, spanOf } from './text.js'
import { bundlesOf } from './wgsl.js'

/** Where everything lies that a plan reads and stores. */
export interface Layout {
  readonly places: ReadonlyMap<ValueId, Place>
  /** By dispatch, the values that are written at once, each into a storage of its own, and what all of them take. */
  readonly bundles: readonly (readonly (readonly ValueId[])[])[]
  readonly lengths: readonly number[]
  /** Arguments. */
  readonly given: readonly { readonly id: ValueId; readonly index: number }[]
  readonly held: readonly Placed[]
  /** Variables that change, by the storage in which they lie. */
  readonly changed: readonly (readonly Placed[])[]
  /** The dispatches whose outputs, one behind the other, these are, where they begin, and what they take. */
  readonly changing: readonly number[]
  readonly begins: ReadonlyMap<number, number>
  readonly changedLength: number
  /** How what is written into one storage lies there. */
  readonly parts: Parts | undefined
}

/** Most outputs that are written at once. */
const MOST_AT_ONCE = 4

/** Lays out what a plan of these dispatches needs, variables where they lie already if they can stay there. */
export function layoutOf(
  device: Device,
  tensors: Tensors,
  program: Program,
  { dispatches, isLoaded }: Schedule,
): Layout {
  const { values, assigned } = program
  const spanFor = (id: ValueId): number => spanOf(values[id]!.shape)
  const isChanged = new Set(assigned.map(({ value }) => value))
  const isChanging = ({ outs }: Dispatch): boolean => outs.some((id) => isChanged.has(id))
  const spans = dispatches.map(({ outs }) => outs.reduce((sum, id) => sum + spanFor(id), 0))
  const changedSpan = spans.reduce((sum, span, i) => sum + (isChanging(dispatches[i]!) ? span : 0), 0)
  const parts = device.partsOf?.(Math.max(changedSpan, ...spans))
  const next = (at: number, length: number): number => parts?.next(at, length) ?? at
  // What an optimizer makes of a parameter is written at once, into a storage each, where nothing else reads it.
  const isAtOnce =
    device.runTogether !== undefined &&
    dispatches
      .filter(isChanging)
      .every(
        ({ outs, isFirst, isForeign }) =>
          !isFirst && !isForeign && outs.every((id) => isChanged.has(id) && !isLoaded(id)),
      )
  const bundles = dispatches.map((dispatch) => {
    const alone = dispatch.outs.map((id) => [id])
    if (!isAtOnce || !isChanging(dispatch)) return alone
    return bundlesOf(program, dispatch.outs, isLoaded).flatMap((ids) =>
      ids.length > MOST_AT_ONCE ? ids.map((id) => [id]) : [ids],
    )
  })
  const places = new Map<ValueId, Place>()
  const place = (id: ValueId, array: string, at: number): number => {
    places.set(id, { array, at })
    return at + spanFor(id)
  }
  /** In which dispatch a value is stored, and in which of the storages that this writes. */
  const stored = new Map<ValueId, { readonly dispatch: number; readonly lane: number }>()
  const lengths = bundles.map((all, dispatch) =>
    all.reduce((end, ids) => {
      const length = spanFor(ids[0]!)
      const at = device.packs ? next(end, length) : end
      ids.forEach((id, lane) => {
        stored.set(id, { dispatch, lane })
        place(id, `out${dispatch}`, at)
      })
      return at + length
    }, 0),
  )
  // Variables lie as the dispatches that change them leave them, and behind each other where they do not change.
  const changing = [...new Set(assigned.map(({ value }) => stored.get(value)!.dispatch))].sort(
    (a, b) => a - b,
  )
  const begins = new Map<number, number>()
  // They may be written there, where the device lets one begin.
  const changedLength = changing.reduce((at, dispatch) => {
    const begin = next(at, lengths[dispatch]!)
    begins.set(dispatch, begin)
    return begin + lengths[dispatch]!
  }, 0)
  const changedAt = new Map(
    assigned.map(({ variable, value }) => {
      const { dispatch, lane } = stored.get(value)!
      return [variable, { variable, at: begins.get(dispatch)! + places.get(value)!.at, lane }]
    }),
  )
  const lanes = Math.max(0, ...[...changedAt.values()].map(({ lane }) => lane + 1))
  const changed = Array.from({ length: lanes }, (_, lane) =>
    [...changedAt.values()].filter((placed) => placed.lane === lane),
  )
  const given: { readonly id: ValueId; readonly index: number }[] = []
  const heldAnywhere: Placed[] = []
  const ends = { given: 0, fixed: 0, held: 0 }
  values.forEach(({ source, shape }, id) => {
    if (source.kind === 'kernel') return
    const array = kindOfArray(program, id)
    if (array === 'changed' && source.kind === 'variable') {
      const { at, lane } = changedAt.get(source.variable)!
      place(id, changedIn(lane), at)
    } else if (array === 'held' && source.kind === 'variable') {
      const part = tensors.partOf(source.variable)
      heldAnywhere.push({ variable: source.variable, at: part?.at ?? ends.held })
      ends.held = place(id, array, ends.held)
    } else if (array === 'fixed') {
      if (sizeOf(shape) > 1) ends.fixed = place(id, array, ends.fixed)
    } else if (source.kind === 'argument') {
      given.push({ id, index: source.index })
      ends.given = place(id, array, ends.given)
    }
  })
  const held = heldIn(heldAnywhere, tensors)
  for (const { variable, at } of held)
    values.forEach(({ source }, id) => {
      if (source.kind === 'variable' && source.variable === variable) place(id, 'held', at)
    })
  return { places, bundles, lengths, given, held, changed, changing, begins, changedLength, parts }
}

/** The array of variables that change: there are several where values are written at once. */
export function changedIn(lane: number): string {
  return lane === 0 ? 'changed' : `changed${lane}`
}

/** How many numbers an array takes. */
export function lengthIn({ places }: Layout, { values, slotCount }: Program, array: string): number {
  if (array === SLOTS) return spanOf([slotCount])
  let length = 0
  for (const [id, place] of places)
    if (place.array === array) length = Math.max(length, place.at + spanOf(values[id]!.shape))
  return length
}

/** Where variables that do not change lie: as they do, where they lie in one block already. */
function heldIn(held: readonly Placed[], tensors: Tensors): Placed[] {
  const blocks = new Set(held.map(({ variable }) => tensors.partOf(variable)?.arena))
  if (blocks.size === 1 && !blocks.has(undefined)) return [...held]
  let end = 0
  return held.map(({ variable }) => {
    const at = end
    end += spanOf(variable.shape)
    return { variable, at }
  })
}
