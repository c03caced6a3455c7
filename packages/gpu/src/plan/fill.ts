import type { Language } from './language.js'
import type { Place } from './text.js'

/** What a member of a group reads and writes at its own position, by leaf of the group's template. */
type Leaves = readonly Place[]

/** The template for all of its members, each of which lies between two ends. */
export function filled(
  language: Language,
  template: string,
  members: readonly Leaves[],
  ends: readonly number[],
): string {
  const choice = (texts: readonly (number | string)[]): string => chosen(texts, ends)
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
    const reads = arrays.map((array) => language.read(array, index(nearestIn(places, array))))
    before.push(
      `let leaf${leaf} : f32 = ${choice(places.map(({ array }) => reads[arrays.indexOf(array)]!))};`,
    )
    return `leaf${leaf}`
  })
  return [...before, filledIn].join('\n')
}

/**
 * The same where a thread computes four neighbours: what it reads at its own position it reads at once, and what is the
 * same for all four it computes once. Undefined for templates with loops or branches.
 */
export function filledByFours(
  language: Language,
  template: string,
  members: readonly Leaves[],
  ends: readonly number[],
): string | undefined {
  const lines = template.split('\n')
  if (!lines.every((line) => /^(let \w+ : (f32|i32)|leaf\(\d+\)) = .*;$/.test(line))) return undefined
  const placesOf = (leaf: number): Leaves => members.map((own) => own[leaf]!)
  const isNumber = (leaf: number): boolean => placesOf(leaf)[0]!.at < 0
  const quad = (places: Leaves): string =>
    `t + ${chosen(
      places.map(({ at }, m) => at / 4 - ends[m]!),
      ends,
    )}`
  const once: string[] = []
  const known = new Set<number>()
  const read = (leaf: number): void => {
    if (known.has(leaf)) return
    known.add(leaf)
    const places = placesOf(leaf)
    const arrays = [...new Set(places.map(({ array }) => array))]
    if (isNumber(leaf)) {
      const at = chosen(
        places.map(({ at: slot }) => -1 - slot),
        ends,
      )
      once.push(`let leaf${leaf} : f32 = ${language.read(arrays[0]!, at)};`)
    } else if (arrays[0] === 'result') once.push(`let leaf${leaf} = 4 * (${quad(places)});`)
    else {
      // Each array is read, and the right value taken: loops and branches cost software more.
      const reads = arrays.map((array) => `user_${array}[${quad(nearestIn(places, array))}]`)
      const value = chosen(
        places.map(({ array }) => reads[arrays.indexOf(array)]!),
        ends,
      )
      once.push(`let leaf${leaf} = ${value};`)
    }
  }
  /** Names of what is another number for each of the four. */
  const own = new Set<string>()
  const each: string[] = []
  for (const line of lines) {
    const leaves = [...line.matchAll(/leaf\((\d+)\)/g)].map(([, leaf]) => Number(leaf))
    leaves.forEach(read)
    const isOwn =
      leaves.some((leaf) => !isNumber(leaf)) ||
      (line.match(/\b[a-z]+\d+\b/g) ?? []).some((name) => own.has(name))
    const name = /^let (\w+)/.exec(line)?.[1]
    if (isOwn && name !== undefined) own.add(name)
    ;(isOwn || name === undefined ? each : once).push(line.replace(/leaf\((\d+)\)/g, 'leaf$1'))
  }
  const component = (i: number): string =>
    each
      .map((line) =>
        line
          .replace(/^leaf(\d+) =/, `result[leaf$1 + ${i}] =`)
          .replace(/\bleaf(\d+)\b(?! \+)/g, (name, leaf: string) =>
            isNumber(Number(leaf)) ? name : `${name}[${i}]`,
          ),
      )
      .join('\n')
  return [...once, ...[0, 1, 2, 3].map((i) => `{\n${component(i)}\n}`)].join('\n')
}

/** Where `array` is read by each member: where its own value lies there, or that of the next that has one there. */
function nearestIn(places: Leaves, array: string): Leaves {
  return places.map(
    (_, m) =>
      places.find((place, i) => i >= m && place.array === array) ??
      places.findLast((place) => place.array === array)!,
  )
}

/** Of texts by member the one for this thread. */
function chosen(texts: readonly (number | string)[], ends: readonly number[]): string {
  return texts
    .slice(1)
    .reduce<string>(
      (before, text, m) => (text === texts[m] ? before : `select(${before}, ${text}, t >= ${ends[m + 1]})`),
      String(texts[0]),
    )
}
