import {
  type Kernel,
  type Program,
  type ReduceOp,
  sizeOf,
  stridesOf,
  type ValueId,
} from '@adjoint/core/extend'
import { sourceOf, storedAs } from '../formula.js'
import type { Language } from './language.js'

type Sizes = readonly number[]

/** A position in a value: by axis, flat, or both. Whole numbers as text. */
interface At {
  readonly shape: Sizes
  readonly digits?: readonly string[]
  readonly flat?: string
}

interface Block {
  readonly lines: string[]
  readonly known: Map<string, string>
  /** How often it runs. */
  readonly trips: number
  /** Whether it may not run at all. */
  readonly isBranch: boolean
}

/** Rows and columns that one thread computes; columns by fours. */
export type Tile = readonly [rows: number, columns: number]

/** How a stored value is read: its text, for a flat position as text. */
export type Load = (id: ValueId, at: string) => string

/**
 * Writes how elements of values are computed, down to values that are stored. What does not depend on a loop is computed
 * before it, and once.
 */
export class Writer {
  readonly #language: Language
  readonly #program: Program
  readonly #isLoaded: (id: ValueId) => boolean
  readonly #load: Load
  readonly #loadFour: Load | undefined
  readonly #slot: (slot: number) => string
  #blocks: Block[] = [{ lines: [], known: new Map(), trips: 1, isBranch: false }]
  /** In which block a name stands. */
  readonly #depths = new Map<string, number>()
  #count = 0
  /** Products that were computed for several elements at once: their sums, by row and column. */
  readonly #fours = new Map<string, { readonly first: string; readonly i: number }>()
  readonly #tiles = new Map<ValueId, (row: string, col: string) => string>()
  /** About how many operations one element takes. */
  work = 0

  constructor(
    language: Language,
    program: Program,
    isLoaded: (id: ValueId) => boolean,
    load: Load,
    slot: (slot: number) => string,
    /** How four values are read that begin at a multiple of four. */
    loadFour?: Load,
  ) {
    this.#language = language
    this.#program = program
    this.#isLoaded = isLoaded
    this.#load = load
    this.#slot = slot
    this.#loadFour = loadFour
  }

  /** What was written so far. */
  get lines(): string {
    return this.#blocks[0]!.lines.join('\n')
  }

  /** Writes how element `flat` of a value is computed, even if it is stored, and returns the text of what it comes to. */
  write(id: ValueId, flat: string): string {
    const at = { shape: this.#program.values[id]!.shape, flat }
    const result = this.#computed(id, at)
    this.#blocks[0]!.known.set(`${id} ${flat}`, result)
    return result
  }

  /**
   * Writes how one thread computes a tile of rows and columns of a value that is made of products, in WGSL: what it reads
   * of their operands serves for a row or a column of the tile.
   * @param tile which one, as text.
   * @param store how an element is stored, by its flat position.
   */
  tile(
    id: ValueId,
    products: readonly ValueId[],
    [high, wide]: Tile,
    tile: string,
    store: (at: string, value: string) => string,
  ): void {
    const { shape } = this.#program.values[id]!
    const [m, n] = shape.slice(-2) as [number, number]
    const [down, across] = [Math.ceil(m / high), Math.ceil(n / wide)]
    const line = this.#integer(`${tile} / ${across}`)
    const batch = this.#integer(`${line} / ${down}`)
    const from = {
      row: this.#integer(`(${line} - ${batch} * ${down}) * ${high}`),
      col: this.#integer(`(${tile} - ${line} * ${across}) * ${wide}`),
    }
    const along = (first: string, count: number, side: number): readonly string[] => {
      const at = (i: number): string => (i === 0 ? first : `${first} + ${i}`)
      if (side % count === 0 && this.#loadFour !== undefined)
        return Array.from({ length: count / 4 }, (_, four) =>
          this.#fourFrom(this.#integer(at(4 * four))),
        ).flat()
      return Array.from({ length: count }, (_, i) =>
        this.#integer(side % count === 0 ? at(i) : `min(${at(i)}, ${side - 1})`),
      )
    }
    const [rows, cols] = [along(from.row, high, m), along(from.col, wide, n)]
    const outer = this.#digits({ shape: shape.slice(0, -2), flat: batch })
    for (const product of products) {
      const sums = rows.map(() =>
        Array.from({ length: wide / 4 }, () => {
          const name = this.#name('s', 0)
          this.#say(`var ${name} = vec4<f32>();`)
          return name
        }),
      )
      const length = lengthOf(this.#program, product)
      // A long body of a loop is slow to compile, and to run.
      const step = this.#loadFour !== undefined && length % 4 === 0 && high * wide === 16 ? 4 : 1
      this.#loop(length / step, (k) => {
        for (const at of step === 1 ? [k] : this.#fourFrom(this.#integer(`${k} * 4`))) {
          const y = cols.map((col) => this.#factor(product, 1, [...outer, '0', col], at))
          const four = sums[0]!.map((_, c) => {
            const name = this.#name('y', this.#blocks.length - 1)
            this.#say(`let ${name} = vec4<f32>(${y.slice(4 * c, 4 * c + 4).join(', ')});`)
            return name
          })
          rows.forEach((row, r) => {
            const x = this.#factor(product, 0, [...outer, row, '0'], at)
            four.forEach((name, c) => this.#say(`${sums[r]![c]} += ${x} * ${name};`))
          })
        }
      })
      this.#tiles.set(product, (row, col) => {
        const c = cols.indexOf(col)
        return `${sums[rows.indexOf(row)]![c >> 2]}[${c & 3}]`
      })
    }
    rows.forEach((row, r) => {
      cols.forEach((col, c) => {
        const at = { shape, digits: [...outer, row, col] }
        const isThere = [
          ...(m % high === 0 ? [] : [`${from.row} + ${r} < ${m}`]),
          ...(n % wide === 0 ? [] : [`${from.col} + ${c} < ${n}`]),
        ]
        const write = (): void => {
          this.#say(store(this.#flat(at), this.#computed(id, at)))
        }
        if (isThere.length === 0) write()
        else this.#branch(isThere.join(' && '), write)
      })
    })
  }

  /** Four whole numbers from a multiple of four on: what is read at all of them is read at once. */
  #fourFrom(first: string): readonly string[] {
    return [0, 1, 2, 3].map((i) => {
      const name = this.#integer(`${first} + ${i}`)
      this.#fours.set(name, { first, i })
      return name
    })
  }

  /** The value of a stored element, as one of four that are read at once if it stands among such. */
  #loaded(id: ValueId, at: At): string {
    const four = this.#fours.get(at.digits?.at(-1) ?? '')
    if (this.#loadFour === undefined || four === undefined || at.shape.at(-1)! % 4 !== 0)
      return this.#number(this.#load(id, this.#flat(at)))
    const first = this.#flat({ shape: at.shape, digits: [...at.digits!.slice(0, -1), four.first] })
    const all = this.#declared('w', this.#loadFour(id, first), (name, text) => [`let ${name} = ${text};`])
    return `${all}[${four.i}]`
  }

  /** The first or second factor of term `k` of a product's element. */
  #factor(product: ValueId, which: 0 | 1, own: readonly string[], k: string): string {
    const { source, shape } = this.#program.values[product]!
    if (source.kind !== 'kernel' || source.kernel.kind !== 'matmul') throw new Error('no product')
    const input = source.inputs[which]!
    const { shape: side } = this.#program.values[input]!
    const batch = { shape: shape.slice(0, -2), digits: own.slice(0, -2) }
    const outer = this.#digits(this.#broadcast(batch, side.slice(0, -2)))
    const free = own.at(which === 0 ? -2 : -1)!
    const isLast = which === 0 ? source.kernel.transposeA : !source.kernel.transposeB
    return this.#valueAt(input, { shape: side, digits: [...outer, ...(isLast ? [k, free] : [free, k])] })
  }

  // ---- statements

  #name(kind: string, depth: number): string {
    const name = `${kind}${this.#count++}`
    this.#depths.set(name, depth)
    return name
  }

  /** The block in which a text can be computed at the earliest. */
  #depthOf(...texts: readonly string[]): number {
    let depth = this.#blocks.findLastIndex(({ isBranch }) => isBranch)
    for (const text of texts)
      for (const [name] of text.matchAll(/\b[a-z]+\d+\b/g))
        depth = Math.max(depth, this.#depths.get(name) ?? 0)
    return Math.max(depth, 0)
  }

  /** Runs `write` as if it stood in an outer block. */
  #within<R>(depth: number, write: () => R): R {
    const inner = this.#blocks.splice(depth + 1)
    try {
      return write()
    } finally {
      this.#blocks.push(...inner)
    }
  }

  #recall(key: string): string | undefined {
    for (let depth = this.#blocks.length - 1; depth >= 0; depth--) {
      const known = this.#blocks[depth]!.known.get(key)
      if (known !== undefined) return known
    }
    return undefined
  }

  #integer(text: string): string {
    return /^\w+$/.test(text) ? text : this.#declared('n', text, this.#language.integer)
  }

  #number(text: string): string {
    return /^[a-z]+\d+$/.test(text) ? text : this.#declared('v', text, this.#language.number)
  }

  #declared(kind: string, text: string, lines: (name: string, text: string) => readonly string[]): string {
    const key = `${kind} ${text}`
    const known = this.#recall(key)
    if (known !== undefined) return known
    const depth = this.#depthOf(text)
    const name = this.#name(kind, depth)
    const block = this.#blocks[depth]!
    block.lines.push(...lines(name, text))
    block.known.set(key, name)
    this.work += block.trips * (1 + 4 * (text.match(/fn[A-Z]/g)?.length ?? 0))
    return name
  }

  /** Runs `body` for each whole number below `count`. */
  #loop(count: number, body: (k: string) => void): void {
    if (count === 1) {
      body('0')
      return
    }
    const outer = this.#blocks.at(-1)!
    const depth = this.#blocks.length
    const inner = { lines: [], known: new Map<string, string>(), trips: outer.trips * count, isBranch: false }
    this.#blocks.push(inner)
    // gpu.js ends loops at 65535 where it does not see their end; it sees this one.
    const k = this.#name('k', depth)
    body(k)
    this.#blocks.pop()
    outer.lines.push(this.#language.loop(k, count), ...inner.lines, '}')
  }

  #branch(test: string, body: () => void): void {
    const outer = this.#blocks.at(-1)!
    const inner = { lines: [], known: new Map<string, string>(), trips: outer.trips, isBranch: true }
    this.#blocks.push(inner)
    body()
    this.#blocks.pop()
    outer.lines.push(`if (${test}) {`, ...inner.lines, '}')
  }

  /** A variable that later statements of this block change. */
  #variable(first: string): string {
    const name = this.#name('s', this.#blocks.length - 1)
    this.#blocks.at(-1)!.lines.push(...this.#language.variable(name, first))
    return name
  }

  #say(line: string): void {
    this.#blocks.at(-1)!.lines.push(line)
  }

  // ---- positions

  #flat(at: At): string {
    if (at.flat !== undefined) return at.flat
    const strides = stridesOf(at.shape)
    const terms = at.digits!.flatMap((digit, axis) =>
      at.shape[axis] === 1 || digit === '0'
        ? []
        : [strides[axis] === 1 ? digit : `${factor(digit)} * ${strides[axis]}`],
    )
    return terms.length === 0 ? '0' : this.#integer(terms.join(' + '))
  }

  #digits(at: At): readonly string[] {
    if (at.digits !== undefined) return at.digits
    const digits = at.shape.map(() => '0')
    const axes = at.shape.flatMap((side, axis) => (side === 1 ? [] : [axis])).reverse()
    let rest = at.flat!
    for (const axis of axes) {
      if (axis === axes.at(-1) || rest === '0') digits[axis] = rest
      else {
        const quotient = this.#integer(this.#language.quotient(rest, at.shape[axis]!))
        digits[axis] = this.#integer(`${rest} - ${quotient} * ${at.shape[axis]}`)
        rest = quotient
      }
      if (rest === '0') break
    }
    return digits
  }

  /** Where an operand of `shape` is read for an element of what it is broadcast to. */
  #broadcast(at: At, shape: Sizes): At {
    const size = sizeOf(shape)
    if (size === 1) return { shape, flat: '0' }
    if (size === sizeOf(at.shape)) return this.#reshaped(at, shape)
    const digits = this.#digits(at)
    const missing = at.shape.length - shape.length
    return { shape, digits: shape.map((side, axis) => (side === 1 ? '0' : digits[axis + missing]!)) }
  }

  /** The same element under another shape. */
  #reshaped(at: At, shape: Sizes): At {
    if (at.flat !== undefined) return { shape, flat: at.flat }
    const sides = (of: Sizes): number[] => of.filter((side) => side !== 1)
    if (sides(shape).join() !== sides(at.shape).join()) return { shape, flat: this.#flat(at) }
    const digits = at.digits!.filter((_, axis) => at.shape[axis] !== 1)
    let next = 0
    return { shape, digits: shape.map((side) => (side === 1 ? '0' : digits[next++]!)) }
  }

  // ---- values

  #valueAt(id: ValueId, at: At): string {
    const { source } = this.#program.values[id]!
    if (source.kind === 'constant' && source.values.length === 1)
      return source.slot === undefined
        ? this.#language.literal(Number(source.values[0]))
        : this.#number(this.#slot(source.slot))
    const key = `${id} ${at.flat ?? at.digits!.join()}`
    const known = this.#recall(key)
    if (known !== undefined) return known
    const depth = this.#depthOf(...(at.digits ?? [at.flat!]))
    return this.#within(depth, () => {
      const value =
        source.kind !== 'kernel' || this.#isLoaded(id) ? this.#loaded(id, at) : this.#computed(id, at)
      this.#blocks[depth]!.known.set(key, value)
      return value
    })
  }

  /** An element of a value that is not read but computed. */
  #computed(id: ValueId, at: At): string {
    const { source, dtype } = this.#program.values[id]!
    if (source.kind !== 'kernel') return this.#valueAt(id, at)
    const { kernel, inputs, slots } = source
    const shapes = inputs.map((input) => this.#program.values[input]!.shape)
    const [x, y] = inputs as [ValueId, ValueId]
    const [xs, ys] = shapes as [Sizes, Sizes]
    const digits = (): readonly string[] => this.#digits(at)
    switch (kernel.kind) {
      case 'map': {
        const args = inputs.map((input, i) => this.#valueAt(input, this.#broadcast(at, shapes[i]!)))
        const params = kernel.params.map((value, i) =>
          slots === undefined ? this.#language.literal(value) : this.#number(this.#slot(slots[i]!)),
        )
        const formula = sourceOf(kernel.fn.body, this.#language).replace(
          /\b([ap])(\d+)\b/g,
          (_, of: string, i: string) => (of === 'a' ? args : params)[Number(i)]!,
        )
        return this.#number(storedAs(formula, dtype))
      }
      case 'view':
        return this.#valueAt(x, this.#reshaped(at, xs))
      case 'permute': {
        const back = kernel.perm.map((_, axis) => kernel.perm.indexOf(axis))
        return this.#valueAt(x, { shape: xs, digits: back.map((axis) => digits()[axis]!) })
      }
      case 'slice': {
        const moved = digits().map((digit, axis) => {
          const [begin, stride] = [kernel.begin[axis]!, kernel.strides[axis]!]
          if (stride === 1 && begin === 0) return digit
          if (digit === '0') return String(begin)
          return this.#integer(`${begin} + ${factor(digit)} * ${stride}`)
        })
        return this.#valueAt(x, { shape: xs, digits: moved })
      }
      case 'place':
        return this.#place(kernel, x, xs, digits())
      case 'concat': {
        const result = this.#variable(this.#language.literal(0))
        const own = digits()
        let begin = 0
        inputs.forEach((input, i) => {
          const side = shapes[i]![kernel.axis]!
          const from = begin
          begin += side
          const d = own[kernel.axis]!
          this.#branch(`${d} >= ${from} && ${d} < ${begin}`, () => {
            const moved = own.map((digit, axis) =>
              axis === kernel.axis && from > 0 ? this.#integer(`${digit} - ${from}`) : digit,
            )
            this.#say(`${result} = ${this.#valueAt(input, { shape: shapes[i]!, digits: moved })};`)
          })
        })
        return result
      }
      case 'gather': {
        const rank = ys.length
        const own = digits()
        const at = { shape: ys, digits: own.slice(kernel.axis, kernel.axis + rank) }
        const k = this.#integer(`position(${this.#valueAt(y, at)}, ${xs[kernel.axis]})`)
        const moved = [...own.slice(0, kernel.axis), k, ...own.slice(kernel.axis + rank)]
        return this.#valueAt(x, { shape: xs, digits: moved })
      }
      case 'scatterAdd': {
        const zs = shapes[2]!
        const own = digits()
        const sum = this.#variable(this.#valueAt(x, at))
        this.#loop(sizeOf(ys), (k) => {
          const index = this.#number(this.#valueAt(y, { shape: ys, flat: k }))
          const target = own[kernel.axis]!
          const from = this.#digits({ shape: ys, flat: k })
          const moved = [...own.slice(0, kernel.axis), ...from, ...own.slice(kernel.axis + 1)]
          this.#branch(`position(${index}, ${xs[kernel.axis]}) ${this.#language.equal} ${target}`, () => {
            this.#say(`${sum} += ${this.#valueAt(inputs[2]!, { shape: zs, digits: moved })};`)
          })
        })
        return sum
      }
      case 'reduce':
        return this.#reduce(kernel, x, xs, digits())
      case 'argReduce': {
        const own = digits()
        const along = (k: string): string =>
          this.#valueAt(x, {
            shape: xs,
            digits: xs.map((_, axis) =>
              axis === kernel.axis
                ? k
                : own[own.length === xs.length || axis < kernel.axis ? axis : axis - 1]!,
            ),
          })
        const best = this.#variable(this.#language.literal(0))
        const extreme = this.#variable(along('0'))
        this.#loop(xs[kernel.axis]!, (k) => {
          const v = along(k)
          const { equal, float } = this.#language
          const isBetter = `!(${v} ${equal} ${v}) || ${v} ${kernel.op === 'max' ? '>' : '<'} ${extreme}`
          this.#branch(`${extreme} ${equal} ${extreme} && (${isBetter})`, () => {
            this.#say(`${extreme} = ${v};`)
            this.#say(`${best} = ${float(k)};`)
          })
        })
        return best
      }
      case 'softmax': {
        const own = digits()
        const along = (k: string): string =>
          this.#valueAt(x, { shape: xs, digits: own.map((d, axis) => (axis === kernel.axis ? k : d)) })
        const count = xs[kernel.axis]!
        const rows = own.filter((_, axis) => axis !== kernel.axis)
        const [largest, total] = this.#shared(`softmax ${id} ${rows.join()}`, rows, () => {
          const most = this.#fold('max', [count], ([k]) => along(k!))
          return [most, this.#fold('sum', [count], ([k]) => this.#number(`fnExp(${along(k!)} - ${most})`))]
        })
        const v = this.#valueAt(x, at)
        return this.#number(
          kernel.log ? `${v} - ${largest} - fnLog(${total})` : `fnExp(${v} - ${largest}) / ${total}`,
        )
      }
      case 'matmul': {
        const own = digits()
        const tile = this.#tiles.get(id)
        if (tile !== undefined) return tile(own.at(-2)!, own.at(-1)!)
        return this.#fold('sum', [lengthOf(this.#program, id)], ([k]) =>
          this.#number(`${this.#factor(id, 0, own, k!)} * ${this.#factor(id, 1, own, k!)}`),
        )
      }
      case 'cumulate':
        throw new Error('cumulate has no formula for one element')
    }
  }

  /** What several elements share, computed once for those with the same texts. */
  #shared(key: string, texts: readonly string[], make: () => readonly string[]): readonly string[] {
    const known = this.#recall(key)
    if (known !== undefined) return known.split(' ')
    const depth = this.#depthOf(...texts)
    return this.#within(depth, () => {
      const made = make()
      this.#blocks[depth]!.known.set(key, made.join(' '))
      return made
    })
  }

  /** Terms for each combination of whole numbers below `counts`, put together. */
  #fold(
    op: 'sum' | 'prod' | 'max' | 'min' | 'any' | 'all',
    counts: Sizes,
    term: (k: string[]) => string,
  ): string {
    const { first, next } = FOLDS[op]
    const acc = this.#variable(first(this.#language))
    const walk = (left: Sizes, ks: string[]): void => {
      if (left.length === 0) this.#say(`${acc} = ${next(acc, term(ks), this.#language)};`)
      else
        this.#loop(left[0]!, (k) => {
          walk(left.slice(1), [...ks, k])
        })
    }
    walk(counts, [])
    this.work += this.#blocks.at(-1)!.trips * counts.reduce((n, count) => n * count, 1)
    return acc
  }

  #reduce(
    { op, axes, correction = 0 }: Extract<Kernel, { kind: 'reduce' }>,
    x: ValueId,
    shape: Sizes,
    own: readonly string[],
  ): string {
    const isKept = own.length === shape.length
    const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
    const counts = axes.map((axis) => shape[axis]!)
    const count = counts.reduce((n, side) => n * side, 1)
    const term = (ks: readonly string[]): string =>
      this.#valueAt(x, {
        shape,
        digits: shape.map((_, axis) => {
          const at = axes.indexOf(axis)
          return at >= 0 ? ks[at]! : own[isKept ? axis : kept.indexOf(axis)]!
        }),
      })
    const { abs, sqrt, inf, equal, choose, literal } = this.#language
    const folded = (how: 'sum' | 'prod' | 'max' | 'min' | 'any' | 'all', f?: (v: string) => string): string =>
      this.#fold(how, counts, (ks) => (f === undefined ? term(ks) : this.#number(f(term(ks)))))
    switch (op) {
      case 'mean':
        return this.#number(`${folded('sum')} / ${literal(count)}`)
      case 'variance': {
        const mean = this.#number(`${folded('sum')} / ${literal(count)}`)
        const squares = folded('sum', (v) => `(${v} - ${mean}) * (${v} - ${mean})`)
        const divisor = Math.max(count - correction, 0)
        return this.#number(divisor === 0 ? `${squares} * ${inf}` : `${squares} / ${literal(divisor)}`)
      }
      case 'norm': {
        const largest = folded('max', (v) => `${abs}(${v})`)
        const squares = folded('sum', (v) => `(${v} / ${largest}) * (${v} / ${largest})`)
        return this.#number(
          choose(`${largest} > 0 && ${largest} < ${inf}`, `${largest} * ${sqrt}(${squares})`, largest),
        )
      }
      case 'logSumExp': {
        const largest = folded('max')
        const powers = folded('sum', (v) => `fnExp(${v} - ${largest})`)
        return this.#number(
          choose(`${largest} - ${largest} ${equal} 0`, `${largest} + fnLog(${powers})`, largest),
        )
      }
      default:
        return folded(op)
    }
  }

  #place(
    { begin, strides, value }: Extract<Kernel, { kind: 'place' }>,
    x: ValueId,
    shape: Sizes,
    own: readonly string[],
  ): string {
    const result = this.#variable(this.#language.literal(value))
    const tests: string[] = []
    const moved = own.map((digit, axis) => {
      const [b, stride, side] = [begin[axis]!, strides[axis]!, shape[axis]!]
      // A range that runs backwards is one that runs forwards and is read from its end.
      const step = Math.abs(stride)
      const from = stride < 0 ? b + (side - 1) * stride : b
      const off = from === 0 ? digit : this.#integer(`${digit} - ${from}`)
      const k = step === 1 ? off : this.#integer(this.#language.quotient(off, step))
      tests.push(`${off} >= 0 && ${k} < ${side}`)
      if (step !== 1) tests.push(`${factor(k)} * ${step} ${this.#language.equal} ${off}`)
      return stride < 0 ? this.#integer(`${side - 1} - ${k}`) : k
    })
    if (tests.length === 0) return this.#valueAt(x, { shape, digits: [] })
    this.#branch(tests.join(' && '), () => {
      this.#say(`${result} = ${this.#valueAt(x, { shape, digits: moved })};`)
    })
    return result
  }
}

/** How many terms an element of a product has. */
export function lengthOf({ values }: Program, product: ValueId): number {
  const { source } = values[product]!
  if (source.kind !== 'kernel' || source.kernel.kind !== 'matmul') throw new Error('no product')
  return values[source.inputs[0]!]!.shape.at(source.kernel.transposeA ? -2 : -1)!
}

const factor = (text: string): string => (/^\w+$/.test(text) ? text : `(${text})`)

/** The further of two numbers; NaN, once it is there, stays. */
function beyond(acc: string, v: string, within: string, { choose, equal }: Language): string {
  return choose(`${acc} ${equal} ${acc} && !(${v} ${within} ${acc})`, v, acc)
}

interface Fold {
  readonly first: (language: Language) => string
  readonly next: (acc: string, v: string, language: Language) => string
}

const FOLDS: { readonly [O in Exclude<ReduceOp, 'mean' | 'variance' | 'norm' | 'logSumExp'>]: Fold } = {
  sum: { first: (l) => l.literal(0), next: (acc, v) => `${acc} + ${v}` },
  prod: { first: (l) => l.literal(1), next: (acc, v) => `${acc} * ${v}` },
  max: { first: (l) => `(-${l.inf})`, next: (acc, v, l) => beyond(acc, v, '<=', l) },
  min: { first: (l) => l.inf, next: (acc, v, l) => beyond(acc, v, '>=', l) },
  any: { first: (l) => l.literal(0), next: (acc, v, l) => l.choose(`${v} ${l.equal} 0`, acc, l.literal(1)) },
  all: { first: (l) => l.literal(1), next: (acc, v, l) => l.choose(`${v} ${l.equal} 0`, l.literal(0), acc) },
}

/** Whether one element of a kernel's output can be written as a formula of a few loops. */
export function isWritable(kernel: Kernel, shapes: readonly Sizes[]): boolean {
  if (kernel.kind === 'cumulate') return false
  if (kernel.kind === 'scatterAdd') return sizeOf(shapes[1]!) <= 4096
  return true
}
