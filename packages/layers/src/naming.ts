import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'

/** `MultiHeadAttention` as `multi_head_attention`. */
export function snakeCase(name: string): string {
  return name
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

const LONGEST = 200

/**
 * A name as given to a layer or tensor: any text in any script without control characters, up to 200 characters.
 * Names are looked up in Maps only, so none of them can be special.
 */
export function checkName(what: string, name: unknown): string {
  if (typeof name !== 'string' || name === '')
    throw new ValueError(`${what}: a name must be a text, got ${show(name)}`)
  if (name.length > LONGEST)
    throw new ValueError(
      `${what}: the name ${show(name)} has ${name.length} characters, over the limit of ${LONGEST}`,
    )
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(name))
    throw new ValueError(`${what}: the name ${show(name)} holds control characters`)
  return name
}

/** `base`, or `base_1`, `base_2` …, whichever is the first not taken. */
export function firstFree(base: string, taken: { has(name: string): boolean }): string {
  if (!taken.has(base)) return base
  let n = 1
  while (taken.has(`${base}_${n}`)) n++
  return `${base}_${n}`
}

/** Gives `base`, then `base_1`, `base_2` …, leaving out names that are taken; each name once. */
export class Numbering {
  readonly #next = new Map<string, number>()

  constructor(readonly taken: { has(name: string): boolean }) {}

  name(base: string): string {
    for (let n = this.#next.get(base) ?? 0; ; n++) {
      const name = n === 0 ? base : `${base}_${n}`
      if (this.taken.has(name)) continue
      this.#next.set(base, n + 1)
      return name
    }
  }
}
