import { statementsCalledIn } from '../functions.js'
import { truthIn, wholeIn } from './folding.js'
import type { Language } from './language.js'

interface Block {
  readonly lines: string[]
  readonly known: Map<string, string>
  /** How often it runs. */
  readonly trips: number
  /** Whether it may not run at all. */
  readonly isBranch: boolean
}

/** What a driver makes of a branch or a loop is about as much as of so many lines. */
const LINES_OF_BRANCH = 8

/**
 * The statements of a kernel while they are written, in blocks, one in the other. What does not depend on a loop is
 * computed before it, and what is computed is computed once.
 */
export class Statements {
  readonly language: Language
  #blocks: Block[] = [{ lines: [], known: new Map(), trips: 1, isBranch: false }]
  /** In which block a name stands. */
  readonly #depths = new Map<string, number>()
  #count = 0
  /** About how many operations they take, and how many lines they are with those of the functions that they call. */
  work = 0
  length = 0
  /** How many statements run on a condition. */
  branches = 0

  constructor(language: Language) {
    this.language = language
  }

  /** What was written so far. */
  get lines(): string {
    return this.#blocks[0]!.lines.join('\n')
  }

  say(line: string): void {
    this.length++
    this.#blocks.at(-1)!.lines.push(line)
  }

  /** A name of its own for what is declared in the block that is being written. */
  name(kind: string): string {
    return this.#name(kind, this.#blocks.length - 1)
  }

  /** A whole number by name. */
  integer(text: string): string {
    if (/^\w+$/.test(text)) return text
    return wholeIn(text)?.toString() ?? this.declared('n', text, this.language.integer)
  }

  /** A number by name. */
  number(text: string): string {
    return /^[a-z]+\d+$/.test(text) ? text : this.declared('v', text, this.language.number)
  }

  /** What a text comes to, by a name that `lines` declare. */
  declared(kind: string, text: string, lines: (name: string, text: string) => readonly string[]): string {
    const key = `${kind} ${text}`
    const known = this.#recall(key)
    if (known !== undefined) return known
    const depth = this.#depthOf([text])
    const name = this.#name(kind, depth)
    const block = this.#blocks[depth]!
    block.lines.push(...lines(name, text))
    block.known.set(key, name)
    this.work += block.trips * (1 + 4 * (text.match(/fn[A-Z]/g)?.length ?? 0))
    this.length += 1 + statementsCalledIn(text)
    return name
  }

  /** A variable that later statements of this block change. */
  variable(first: string): string {
    const name = this.name('s')
    this.#blocks.at(-1)!.lines.push(...this.language.variable(name, first))
    return name
  }

  /** Counts so many operations each time that this block runs. */
  spend(operations: number): void {
    this.work += this.#blocks.at(-1)!.trips * operations
  }

  /** What `write` gives: written where `texts` are known, as early as can be, if it is not there already. */
  once(key: string, texts: readonly string[], write: () => string): string {
    const known = this.#recall(key)
    if (known !== undefined) return known
    const depth = this.#depthOf(texts)
    const inner = this.#blocks.splice(depth + 1)
    try {
      const made = write()
      this.#blocks[depth]!.known.set(key, made)
      return made
    } finally {
      this.#blocks.push(...inner)
    }
  }

  /** Runs `body` for each whole number below `count`. */
  loop(count: number, body: (k: string) => void): void {
    if (count === 1) {
      body('0')
      return
    }
    const outer = this.#blocks.at(-1)!
    // gpu.js ends loops at 65535 where it does not see their end; it sees this one.
    const k = this.#name('k', this.#blocks.length)
    this.length += LINES_OF_BRANCH
    const lines = this.#inner({ trips: outer.trips * count, isBranch: false }, () => {
      body(k)
    })
    outer.lines.push(this.language.loop(k, count), ...lines, '}')
  }

  /** The whole part of a quotient by name. */
  quotient(a: string, b: number): string {
    const whole = wholeIn(a)
    return whole === undefined ? this.integer(this.language.quotient(a, b)) : String(Math.trunc(whole / b))
  }

  /** Runs `body` where all tests hold. */
  branch(tests: readonly string[], body: () => void): void {
    const open = tests.filter((test) => truthIn(test) !== true)
    if (open.some((test) => truthIn(test) === false)) return
    if (open.length === 0) {
      body()
      return
    }
    this.branches++
    const outer = this.#blocks.at(-1)!
    const lines = this.#inner({ trips: outer.trips, isBranch: true }, body)
    const begin = this.language.branch(open)
    this.length += LINES_OF_BRANCH
    outer.lines.push(...begin, ...lines, ...begin.map(() => '}'))
  }

  #inner(kind: Pick<Block, 'trips' | 'isBranch'>, body: () => void): readonly string[] {
    const block: Block = { lines: [], known: new Map(), ...kind }
    this.#blocks.push(block)
    body()
    this.#blocks.pop()
    return block.lines
  }

  #name(kind: string, depth: number): string {
    const name = `${kind}${this.#count++}`
    this.#depths.set(name, depth)
    return name
  }

  /** The block in which what these texts name is known. */
  #depthOf(texts: readonly string[]): number {
    let depth = this.#blocks.findLastIndex(({ isBranch }) => isBranch)
    for (const text of texts)
      for (const [name] of text.matchAll(/\b[a-z]+\d+\b/g))
        depth = Math.max(depth, this.#depths.get(name) ?? 0)
    return Math.max(depth, 0)
  }

  #recall(key: string): string | undefined {
    for (let depth = this.#blocks.length - 1; depth >= 0; depth--) {
      const known = this.#blocks[depth]!.known.get(key)
      if (known !== undefined) return known
    }
    return undefined
  }
}
