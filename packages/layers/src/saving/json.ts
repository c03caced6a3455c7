import { FormatError, LimitError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'

/** What strict JSON holds: records have no prototype. */
export type Json = null | boolean | number | string | readonly Json[] | JsonRecord
export interface JsonRecord {
  readonly [key: string]: Json
}

/** Keys that could be taken for an object's own machinery; no file of ours has them. */
const RESERVED: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const MOST_VALUES = 10_000_000
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
/** What stands in a string as it is. */
// oxlint-disable-next-line no-control-regex -- these must be escaped
const PLAIN = /[^"\\\u0000-\u001f]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

/**
 * Reads JSON by the letter of RFC 8259, and refuses what JSON.parse lets pass: duplicate keys, keys that could
 * change a prototype, deep nesting, lone surrogates, numbers beyond the range of a double.
 * @param what the text is, in messages.
 * @param maxDepth how deep lists and records may be nested.
 */
export function parseJson(what: string, text: string, maxDepth: number): Json {
  return new Parser(what, text, maxDepth).whole()
}

class Parser {
  #at = 0
  #values = 0
  /** Decoded UTF-8 has no half pairs; escapes can make them. */
  readonly #mayBreakPairs: boolean

  constructor(
    readonly what: string,
    readonly text: string,
    readonly maxDepth: number,
  ) {
    this.#mayBreakPairs = text.includes('\\u')
  }

  whole(): Json {
    const value = this.#value(0)
    this.#space()
    if (this.#at < this.text.length) throw this.#error('nothing more was expected')
    return value
  }

  #error(problem: string): FormatError {
    const found = this.#at < this.text.length ? show(this.text.slice(this.#at, this.#at + 12)) : 'the end'
    return new FormatError(
      `${this.what}: not valid JSON at character ${this.#at}: ${problem}, found ${found}`,
    )
  }

  #space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.#at)
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return
      this.#at++
    }
  }

  #value(depth: number): Json {
    if (++this.#values > MOST_VALUES)
      throw new LimitError(`${this.what}: more than ${MOST_VALUES} values in the JSON`)
    this.#space()
    const c = this.text[this.#at]
    if (c === '{' || c === '[') {
      if (depth >= this.maxDepth)
        throw new FormatError(
          `${this.what}: nesting deeper than ${this.maxDepth} levels at character ${this.#at}`,
        )
      return c === '{' ? this.#record(depth) : this.#list(depth)
    }
    if (c === '"') return this.#string()
    if (c === 't') return this.#word('true', true)
    if (c === 'f') return this.#word('false', false)
    if (c === 'n') return this.#word('null', null)
    return this.#number()
  }

  #word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.#at)) throw this.#error('a value was expected')
    this.#at += word.length
    return value
  }

  #number(): number {
    NUMBER.lastIndex = this.#at
    const found = NUMBER.exec(this.text)
    if (found === null) throw this.#error('a value was expected')
    const value = Number(found[0])
    if (!Number.isFinite(value)) throw this.#error('a number within the range of float64 was expected')
    this.#at += found[0].length
    return value
  }

  #string(): string {
    const { text } = this
    let out = ''
    let from = ++this.#at
    for (;;) {
      PLAIN.lastIndex = this.#at
      PLAIN.test(text)
      this.#at = PLAIN.lastIndex
      const c = text[this.#at]
      if (c === '"') break
      if (c !== '\\') throw this.#error('a closing quote was expected')
      out += text.slice(from, this.#at) + this.#escape()
      from = this.#at
    }
    out += text.slice(from, this.#at++)
    if (this.#mayBreakPairs && /\p{Surrogate}/u.test(out))
      throw new FormatError(
        `${this.what}: the text before character ${this.#at} is no UTF-8: it holds half a surrogate pair`,
      )
    return out
  }

  #escape(): string {
    const c = this.text[this.#at + 1] ?? ''
    if (c === 'u') {
      const digits = this.text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#error('four hexadecimal digits were expected')
      this.#at += 6
      return String.fromCharCode(parseInt(digits, 16))
    }
    const meant = ESCAPES.get(c)
    if (meant === undefined) throw this.#error('an escape was expected')
    this.#at += 2
    return meant
  }

  #list(depth: number): Json[] {
    const out: Json[] = []
    this.#at++
    this.#space()
    if (this.text[this.#at] === ']') {
      this.#at++
      return out
    }
    for (;;) {
      out.push(this.#value(depth + 1))
      if (this.#isLast(']')) return out
    }
  }

  #record(depth: number): JsonRecord {
    const out = Object.create(null) as Record<string, Json>
    this.#at++
    this.#space()
    if (this.text[this.#at] === '}') {
      this.#at++
      return out
    }
    for (;;) {
      this.#space()
      if (this.text[this.#at] !== '"') throw this.#error('a key in quotes was expected')
      const key = this.#string()
      if (RESERVED.has(key)) throw new FormatError(`${this.what}: the key ${show(key)} is reserved`)
      if (key in out) throw new FormatError(`${this.what}: duplicate key ${show(key)}`)
      this.#space()
      if (this.text[this.#at] !== ':') throw this.#error('a colon was expected')
      this.#at++
      out[key] = this.#value(depth + 1)
      if (this.#isLast('}')) return out
    }
  }

  /** Takes the comma, or the end of the list or record. */
  #isLast(end: string): boolean {
    this.#space()
    const c = this.text[this.#at]
    if (c !== ',' && c !== end) throw this.#error(`a comma or ${end} was expected`)
    this.#at++
    return c === end
  }
}

export function isReservedKey(key: string): boolean {
  return RESERVED.has(key)
}

export function isJsonRecord(value: Json | undefined): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isJsonList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

// ---- fields, checked

/** The fields of a record that must have just these. */
export function recordOf(
  what: string,
  value: Json | undefined,
  required: readonly string[],
  optional: readonly string[] = [],
): JsonRecord {
  if (!isJsonRecord(value)) throw new FormatError(`${what}: expected a record, got ${shown(value)}`)
  for (const key of required)
    if (!Object.hasOwn(value, key)) throw new FormatError(`${what}: the field ${show(key)} is missing`)
  for (const key of Object.keys(value))
    if (!required.includes(key) && !optional.includes(key))
      throw new FormatError(
        `${what}: unknown field ${show(key)}; known are ${[...required, ...optional].join(', ')}`,
      )
  return value
}

export function listOf(what: string, value: Json | undefined, most: number): readonly Json[] {
  if (!isJsonList(value)) throw new FormatError(`${what}: expected a list, got ${shown(value)}`)
  if (value.length > most)
    throw new LimitError(`${what}: ${value.length} items are over the limit of ${most}`)
  return value
}

export function textOf(what: string, value: Json | undefined): string {
  if (typeof value !== 'string') throw new FormatError(`${what}: expected a text, got ${shown(value)}`)
  return value
}

export function flagOf(what: string, value: Json | undefined): boolean {
  if (typeof value !== 'boolean')
    throw new FormatError(`${what}: expected true or false, got ${shown(value)}`)
  return value
}

/** A whole number from 0 to `most`. */
export function countOf(
  what: string,
  value: Json | undefined,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most)
    throw new FormatError(`${what}: expected a whole number from 0 to ${most}, got ${shown(value)}`)
  return value
}

/** A value of a file in a message. */
export function shown(value: Json | undefined): string {
  if (isJsonRecord(value)) return 'a record'
  return value === undefined ? 'nothing' : show(value)
}

/** Runs `f`; whatever it throws is told as a fault of the file. */
export function asFormatError<R>(what: string, f: () => R): R {
  try {
    return f()
  } catch (error) {
    if (error instanceof FormatError || error instanceof LimitError) throw error
    const message = error instanceof Error ? error.message : show(error)
    throw new FormatError(`${what}: ${message}`, { cause: error })
  }
}
