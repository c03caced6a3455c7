import { type Program, sizeOf, type ValueId } from '@adjoint/core/extend'
import type { Source } from '../device.js'
import { I } from '../text.js'
import { wholeIn } from './folding.js'
import { GPU_JS } from './language.js'
import type { Dispatch } from './schedule.js'
import { Writer } from './writer.js'

/** Where a stored value lies: in which array, and from where on. */
export interface Place {
  readonly array: string
  readonly at: number
}

/** A dispatch as the body of a gpu.js kernel, the arrays it reads, and what else it is given. */
export interface Written extends Source {
  readonly arrays: readonly string[]
  /** Which of the numbers that are others in every run it is given. */
  readonly slots: readonly number[]
  /** Where it reads arrays, by fours or of one value: the last of its arguments. */
  readonly places: readonly number[]
}

/** How far from a value the next one begins: at a multiple of four, so that it can be read by fours. */
export function spanOf(shape: readonly number[]): number {
  return Math.ceil(sizeOf(shape) / 4) * 4
}

/** The array of the numbers that are others in every run. */
export const SLOTS = 'slots'

/** A value's element as text, in which what it reads at its own position is left open. */
interface Template {
  readonly text: string
  readonly results: readonly string[]
  readonly leaves: readonly Place[]
}

/** The position of the element that a template computes. */
export const HERE = 'here'

/** Whether a template can stand anywhere: only what reads nothing but its own position can. */
export function standsAnywhere(template: string): boolean {
  return !new RegExp(`\\b${HERE}\\b`).test(template)
}

/** What is done alike at several places: one text, and what each of them has of its own. */
export interface Group<Member> {
  readonly template: string
  /** Whether it reads nothing but its own position. */
  readonly isFlat: boolean
  readonly members: Member[]
}

/** Puts texts together that are the same and can stand anywhere; each other one stays by itself. */
export function gathered<Member>(
  texts: readonly { readonly template: string; readonly member: Member }[],
): Group<Member>[] {
  const groups = new Map<string, Group<Member>>()
  texts.forEach(({ template, member }, i) => {
    const isFlat = standsAnywhere(template)
    const key = isFlat ? template : String(i)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { template, isFlat, members: [member] })
    else group.members.push(member)
  })
  return [...groups.values()]
}

/**
 * Writes a dispatch: each thread finds out which value its element is of. Values that are computed in the same way from
 * other places, such as parameters by their optimizer, share one text.
 */
export function written(
  program: Program,
  { outs }: Dispatch,
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): Written {
  const groups = groupsOf(program, outs, isLoaded, placeOf)
  const lines: string[] = []
  let begin = 0
  groups.forEach(({ template, members }, g) => {
    const first = begin
    const ends = members.map(({ id }) => (begin += spanOf(program.values[id]!.shape)))
    const text = [
      ...(members.length === 1
        ? [`let ${HERE} = 0;`, `${HERE}++;`, `${HERE} = ${I}${first === 0 ? '' : ` - ${first}`};`]
        : []),
      forAll(
        template,
        members.map(({ leaves }) => leaves),
        [first, ...ends],
      ),
    ].join('\n')
    lines.push(g === groups.length - 1 ? text : `if (${I} < ${begin}) {\n${text}\n}`)
  })
  const body = lines.join('\n')
  const arrays = [...new Set(body.match(ARRAYS))].sort()
  return {
    args: [
      ...arrays.map((name) => [name, 'array'] as const),
      ...numbersIn(body).map((name) => [name, 'number'] as const),
    ],
    body,
    arrays,
    slots: [],
    places: [],
  }
}

/**
 * Writes one value of a dispatch by itself, or several of one size, the others asked for also. Which arrays it reads, and
 * where, are arguments: values that are computed in the same way share one text. Undefined where others have no name.
 */
export function writtenApart(
  program: Program,
  ids: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): Written | undefined {
  const { text, results, leaves } = templateOf(program, ids, isLoaded, placeOf)
  const [result, ...also] = results
  if (!also.every((name) => /^[a-z]+\d+$/.test(name))) return undefined
  const slots = new Map<string, number>()
  const places = new Map<string, number>()
  const filledIn = `${text}\nreturn ${result};`.replace(/leaf\((\d+)\)/g, (_, leaf: string) => {
    const { array, at } = leaves[Number(leaf)]!
    if (array === SLOTS) {
      slots.set(`p${leaf}`, -1 - at)
      return `p${leaf}`
    }
    places.set(`o${leaf}`, at < 0 ? -1 - at : at / 4)
    return `${array}[${at < 0 ? `o${leaf}` : `${I} + 4 * o${leaf}`}]`
  })
  const arrays: string[] = []
  const body = filledIn.replace(ARRAYS, (name) => {
    if (!arrays.includes(name)) arrays.push(name)
    return `x${arrays.indexOf(name)}`
  })
  const here = standsAnywhere(body) ? '' : `let ${HERE} = 0;\n${HERE}++;\n${HERE} = ${I};\n`
  return {
    args: [
      ...arrays.map((_, i) => [`x${i}`, 'array'] as const),
      ...numbersIn(body).map((name) => [name, 'number'] as const),
      ...[...slots.keys()].map((name) => [name, 'number'] as const),
      ...[...places.keys()].map((name) => [name, 'integer'] as const),
    ],
    body: `${here}${body}`,
    also,
    arrays,
    slots: [...slots.values()],
    places: [...places.values()],
  }
}

const ARRAYS = /\b(?:given|fixed|held|changed\d*|slots|out\d+)(?=\[)/g

function numbersIn(body: string): readonly string[] {
  return ['inf', 'nan'].filter((name) => new RegExp(`\\b${name}\\b`).test(body))
}

/** The dispatch's values in the order in which they lie in its output. */
export function orderOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
): readonly ValueId[] {
  // Where things lie is not known yet, and does not matter.
  const groups = groupsOf(program, outs, isLoaded, (id) => ({ array: 'given', at: id }))
  return groups.flatMap(({ members }) => members.map(({ id }) => id))
}

interface Member {
  readonly id: ValueId
  readonly leaves: readonly Place[]
}

function groupsOf(
  program: Program,
  outs: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): Group<Member>[] {
  return gathered(
    outs.map((id) => {
      const { text, results, leaves } = templateOf(program, [id], isLoaded, placeOf)
      return { template: `${text}\nreturn ${results[0]};`, member: { id, leaves } }
    }),
  )
}

function templateOf(
  program: Program,
  ids: readonly ValueId[],
  isLoaded: (id: ValueId) => boolean,
  placeOf: (id: ValueId) => Place,
): Template {
  const leaves: Place[] = []
  const leaf = (place: Place): string => `leaf(${leaves.push(place) - 1})`
  const load = (from: ValueId, at: string): string => {
    const { array, at: offset } = placeOf(from)
    if (at === HERE) return leaf({ array, at: offset })
    // Numbers do not move with the position: they are told apart by a negative one.
    if (sizeOf(program.values[from]!.shape) === 1) return leaf({ array, at: -1 - offset })
    return `${array}[${shifted(at, offset)}]`
  }
  const slot = (at: number): string => leaf({ array: SLOTS, at: -1 - at })
  const writer = new Writer(GPU_JS, program, isLoaded, load, slot)
  const results = ids.map((id) => writer.write(id, HERE))
  return { text: writer.lines, results, leaves }
}

/** The template for all of its members, each of which lies between two ends. */
function forAll(template: string, members: readonly (readonly Place[])[], ends: readonly number[]): string {
  const read = ({ array, at }: Place, begin: number): string => {
    if (at < 0) return `${array}[${-1 - at}]`
    return `${array}[${shifted(I, at - begin)}]`
  }
  const isOne = members[0]!.map((_, leaf) => {
    const all = members.map((own, m) => read(own[leaf]!, ends[m]!))
    return all.every((one) => one === all[0]) ? all[0]! : undefined
  })
  const before: string[] = []
  const open = isOne.flatMap((one, leaf) => (one === undefined ? [leaf] : []))
  for (const leaf of open) before.push(`let leaf${leaf} = 0.0;`)
  if (open.length > 0)
    members.forEach((own, m) => {
      const sets = open.map((leaf) => `leaf${leaf} = ${read(own[leaf]!, ends[m]!)};`).join(' ')
      const test = m === members.length - 1 ? '' : `if (${I} < ${ends[m + 1]}) `
      before.push(`${m === 0 ? '' : 'else '}${test}{ ${sets} }`)
    })
  const filledIn = template.replace(
    /leaf\((\d+)\)/g,
    (_, leaf: string) => isOne[Number(leaf)] ?? `leaf${leaf}`,
  )
  return [...before, filledIn].join('\n')
}

/** The text of a position so much further on. */
export function shifted(at: string, by: number): string {
  const whole = wholeIn(at)
  if (whole !== undefined) return String(whole + by)
  return by === 0 ? at : by > 0 ? `${at} + ${by}` : `${at} - ${-by}`
}
