import { type Kernel, type Program, sizeOf, type ValueId } from '@adjoint/core/extend'
import { storedAs } from '../formula.js'
import { factorOf, formulaOf } from './formulas.js'
import { type FoldOp, FOLDS } from './folds.js'
import type { Language } from './language.js'
import { type At, broadcastAt, digitsOf, factor, flatOf, reshapedAt, type Sizes } from './positions.js'
import { Statements } from './statements.js'

/** Products of fewer elements than this are computed one by one, so that enough threads share the work. */
export const LEAST_FOR_TILES = 1024

/** Rows and columns that one thread computes, columns by fours, and how many terms a turn of its loop adds. */
export type Tile = readonly [rows: number, columns: number, terms: number]

/** How a stored value is read: its text, for a flat position as text. */
export type Load = (id: ValueId, at: string) => string

/**
 * Writes how elements of values are computed, down to values that are stored. What does not depend on a loop is computed
 * before it, and once.
 */
export class Writer {
  readonly #language: Language
  readonly #write: Statements
  readonly #program: Program
  readonly #isLoaded: (id: ValueId) => boolean
  readonly #load: Load
  readonly #loadFour: Load | undefined
  readonly #slot: (slot: number) => string
  /** Products that were computed for several elements at once: their sums, by row and column. */
  readonly #fours = new Map<string, { readonly first: string; readonly i: number }>()
  readonly #tiles = new Map<ValueId, (row: string, col: string) => string>()

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
    this.#write = new Statements(language)
    this.#program = program
    this.#isLoaded = isLoaded
    this.#load = load
    this.#slot = slot
    this.#loadFour = loadFour
  }

  /** What was written so far. */
  get lines(): string {
    return this.#write.lines
  }

  /** About how many operations it takes. */
  get work(): number {
    return this.#write.work
  }

  /** About how many lines of code it is. */
  get length(): number {
    return this.#write.length
  }

  /** How many statements run on a condition. */
  get branches(): number {
    return this.#write.branches
  }

  /** Writes how element `flat` of a value is computed, even if it is stored, and returns the text of what it comes to. */
  write(id: ValueId, flat: string): string {
    const at = { shape: this.#program.values[id]!.shape, flat }
    return this.#write.once(`${id} ${flat}`, [flat], () => this.#computed(id, at))
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
    [high, wide, terms]: Tile,
    tile: string,
    store: (at: string, value: string) => string,
  ): void {
    const { shape } = this.#program.values[id]!
    const [m, n] = shape.slice(-2) as [number, number]
    const [down, across] = [Math.ceil(m / high), Math.ceil(n / wide)]
    const line = this.#write.integer(`${tile} / ${across}`)
    const batch = this.#write.integer(`${line} / ${down}`)
    const from = {
      row: this.#write.integer(`(${line} - ${batch} * ${down}) * ${high}`),
      col: this.#write.integer(`(${tile} - ${line} * ${across}) * ${wide}`),
    }
    const along = (first: string, count: number, side: number): readonly string[] => {
      const at = (i: number): string => (i === 0 ? first : `${first} + ${i}`)
      if (side % count === 0 && this.#loadFour !== undefined)
        return Array.from({ length: count / 4 }, (_, four) =>
          this.#fourFrom(this.#write.integer(at(4 * four))),
        ).flat()
      return Array.from({ length: count }, (_, i) =>
        this.#write.integer(side % count === 0 ? at(i) : `min(${at(i)}, ${side - 1})`),
      )
    }
    const [rows, cols] = [along(from.row, high, m), along(from.col, wide, n)]
    const outer = digitsOf(this.#write, { shape: shape.slice(0, -2), flat: batch })
    for (const product of products) {
      const sums = rows.map(() =>
        Array.from({ length: wide / 4 }, () => {
          const name = this.#write.name('s')
          this.#write.say(`var ${name} = vec4<f32>();`)
          return name
        }),
      )
      const length = lengthOf(this.#program, product)
      const step = this.#loadFour !== undefined && length % terms === 0 ? terms : 1
      this.#write.loop(length / step, (k) => {
        for (const at of step === 1 ? [k] : this.#fourFrom(this.#write.integer(`${k} * 4`))) {
          const y = cols.map((col) => this.#factor(product, 1, [...outer, '0', col], at))
          const four = sums[0]!.map((_, c) => {
            const name = this.#write.name('y')
            this.#write.say(`let ${name} = vec4<f32>(${y.slice(4 * c, 4 * c + 4).join(', ')});`)
            return name
          })
          rows.forEach((row, r) => {
            const x = this.#factor(product, 0, [...outer, row, '0'], at)
            four.forEach((name, c) => this.#write.say(`${sums[r]![c]} += ${x} * ${name};`))
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
          this.#write.say(store(flatOf(this.#write, at), this.#computed(id, at)))
        }
        if (isThere.length === 0) write()
        else this.#write.branch(isThere, write)
      })
    })
  }

  /** Four whole numbers from a multiple of four on: what is read at all of them is read at once. */
  #fourFrom(first: string): readonly string[] {
    return [0, 1, 2, 3].map((i) => {
      const name = this.#write.integer(`${first} + ${i}`)
      this.#fours.set(name, { first, i })
      return name
    })
  }

  /** The value of a stored element, as one of four that are read at once if it stands among such. */
  #loaded(id: ValueId, at: At): string {
    const four = this.#fours.get(at.digits?.at(-1) ?? '')
    if (this.#loadFour === undefined || four === undefined || at.shape.at(-1)! % 4 !== 0)
      return this.#write.number(this.#load(id, flatOf(this.#write, at)))
    const first = flatOf(this.#write, { shape: at.shape, digits: [...at.digits!.slice(0, -1), four.first] })
    const all = this.#write.declared('w', this.#loadFour(id, first), (name, text) => [
      `let ${name} = ${text};`,
    ])
    return `${all}[${four.i}]`
  }

  /** The first or second factor of term `k` of a product's element. */
  #factor(product: ValueId, which: 0 | 1, own: readonly string[], k: string): string {
    const { source, shape } = this.#program.values[product]!
    if (source.kind !== 'kernel' || source.kernel.kind !== 'matmul') throw new Error('no product')
    const input = source.inputs[which]!
    const { shape: side } = this.#program.values[input]!
    const batch = { shape: shape.slice(0, -2), digits: own.slice(0, -2) }
    const outer = digitsOf(this.#write, broadcastAt(this.#write, batch, side.slice(0, -2)))
    const free = own.at(which === 0 ? -2 : -1)!
    const isLast = which === 0 ? source.kernel.transposeA : !source.kernel.transposeB
    const at = { shape: side, digits: [...outer, ...(isLast ? [k, free] : [free, k])] }
    return factorOf(this.#valueAt(input, at), this.#language)
  }

  // ---- values

  #valueAt(id: ValueId, at: At): string {
    const { source } = this.#program.values[id]!
    if (source.kind === 'constant' && source.values.length === 1)
      return source.slot === undefined
        ? this.#language.literal(Number(source.values[0]))
        : this.#write.number(this.#slot(source.slot))
    const key = `${id} ${at.flat ?? at.digits!.join()}`
    return this.#write.once(key, at.digits ?? [at.flat!], () =>
      source.kind !== 'kernel' || this.#isLoaded(id) ? this.#loaded(id, at) : this.#computed(id, at),
    )
  }

  /** An element of a value that is not read but computed. */
  #computed(id: ValueId, at: At): string {
    const { source, dtype } = this.#program.values[id]!
    if (source.kind !== 'kernel') return this.#valueAt(id, at)
    const { kernel, inputs, slots } = source
    const shapes = inputs.map((input) => this.#program.values[input]!.shape)
    const [x, y] = inputs as [ValueId, ValueId]
    const [xs, ys] = shapes as [Sizes, Sizes]
    const digits = (): readonly string[] => digitsOf(this.#write, at)
    switch (kernel.kind) {
      case 'map': {
        const args = inputs.map((input, i) => this.#valueAt(input, broadcastAt(this.#write, at, shapes[i]!)))
        const params = kernel.params.map((value, i) =>
          slots === undefined ? this.#language.literal(value) : this.#write.number(this.#slot(slots[i]!)),
        )
        const formula = formulaOf(kernel.fn.body, args, params, this.#write)
        return this.#write.number(storedAs(formula, dtype))
      }
      case 'view':
        return this.#valueAt(x, reshapedAt(this.#write, at, xs))
      case 'permute': {
        const back = kernel.perm.map((_, axis) => kernel.perm.indexOf(axis))
        return this.#valueAt(x, { shape: xs, digits: back.map((axis) => digits()[axis]!) })
      }
      case 'slice': {
        const moved = digits().map((digit, axis) => {
          const [begin, stride] = [kernel.begin[axis]!, kernel.strides[axis]!]
          if (stride === 1 && begin === 0) return digit
          if (digit === '0') return String(begin)
          return this.#write.integer(`${begin} + ${factor(digit)} * ${stride}`)
        })
        return this.#valueAt(x, { shape: xs, digits: moved })
      }
      case 'place':
        return this.#place(kernel, x, xs, digits())
      case 'concat': {
        const result = this.#write.variable(this.#language.literal(0))
        const own = digits()
        let begin = 0
        inputs.forEach((input, i) => {
          const side = shapes[i]![kernel.axis]!
          const from = begin
          begin += side
          const d = own[kernel.axis]!
          this.#write.branch([`${d} >= ${from}`, `${d} < ${begin}`], () => {
            const moved = own.map((digit, axis) =>
              axis === kernel.axis && from > 0 ? this.#write.integer(`${digit} - ${from}`) : digit,
            )
            this.#write.say(`${result} = ${this.#valueAt(input, { shape: shapes[i]!, digits: moved })};`)
          })
        })
        return result
      }
      case 'gather': {
        const rank = ys.length
        const own = digits()
        const at = { shape: ys, digits: own.slice(kernel.axis, kernel.axis + rank) }
        const k = this.#write.integer(`position(${this.#valueAt(y, at)}, ${xs[kernel.axis]})`)
        const moved = [...own.slice(0, kernel.axis), k, ...own.slice(kernel.axis + rank)]
        return this.#valueAt(x, { shape: xs, digits: moved })
      }
      case 'scatterAdd': {
        const zs = shapes[2]!
        const own = digits()
        const sum = this.#write.variable(this.#valueAt(x, at))
        this.#write.loop(sizeOf(ys), (k) => {
          const index = this.#write.number(this.#valueAt(y, { shape: ys, flat: k }))
          const target = own[kernel.axis]!
          const from = digitsOf(this.#write, { shape: ys, flat: k })
          const moved = [...own.slice(0, kernel.axis), ...from, ...own.slice(kernel.axis + 1)]
          this.#write.branch(
            [`position(${index}, ${xs[kernel.axis]}) ${this.#language.equal} ${target}`],
            () => {
              this.#write.say(`${sum} += ${this.#valueAt(inputs[2]!, { shape: zs, digits: moved })};`)
            },
          )
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
        const best = this.#write.variable(this.#language.literal(0))
        const extreme = this.#write.variable(along('0'))
        this.#write.loop(xs[kernel.axis]!, (k) => {
          const v = along(k)
          const { equal, float, either } = this.#language
          const further = `${v} ${kernel.op === 'max' ? '>' : '<'} ${extreme}`
          this.#write.branch(
            [`${extreme} ${equal} ${extreme}`, either(`!(${v} ${equal} ${v})`, further)],
            () => {
              this.#write.say(`${extreme} = ${v};`)
              this.#write.say(`${best} = ${float(k)};`)
            },
          )
        })
        return best
      }
      case 'softmax': {
        const own = digits()
        const along = (k: string): string =>
          this.#valueAt(x, { shape: xs, digits: own.map((d, axis) => (axis === kernel.axis ? k : d)) })
        const count = xs[kernel.axis]!
        const rows = own.filter((_, axis) => axis !== kernel.axis)
        // What all elements of a row share.
        const largest = this.#write.once(`softmax max ${id} ${rows.join()}`, rows, () =>
          this.#fold('max', [count], ([k]) => along(k!)),
        )
        const total = this.#write.once(`softmax sum ${id} ${rows.join()}`, [...rows, largest], () =>
          this.#fold('sum', [count], ([k]) => this.#write.number(`fnExp(${along(k!)} - ${largest})`)),
        )
        const v = this.#valueAt(x, at)
        return this.#write.number(
          kernel.log ? `${v} - ${largest} - fnLog(${total})` : `fnExp(${v} - ${largest}) / ${total}`,
        )
      }
      case 'matmul': {
        const own = digits()
        const tile = this.#tiles.get(id)
        if (tile !== undefined) return tile(own.at(-2)!, own.at(-1)!)
        return this.#fold('sum', [lengthOf(this.#program, id)], ([k]) =>
          this.#write.number(`${this.#factor(id, 0, own, k!)} * ${this.#factor(id, 1, own, k!)}`),
        )
      }
      case 'cumulate':
        throw new Error('cumulate has no formula for one element')
    }
  }

  /** Terms for each combination of whole numbers below `counts`, put together. */
  #fold(op: FoldOp, counts: Sizes, term: (k: string[]) => string): string {
    const { first, next } = FOLDS[op]
    const acc = this.#write.variable(first(this.#language))
    const walk = (left: Sizes, ks: string[]): void => {
      if (left.length === 0) this.#write.say(`${acc} = ${next(acc, term(ks), this.#language)};`)
      else
        this.#write.loop(left[0]!, (k) => {
          walk(left.slice(1), [...ks, k])
        })
    }
    walk(counts, [])
    this.#write.spend(counts.reduce((n, count) => n * count, 1))
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
    const { abs, sqrt, inf, equal, both, choose, literal } = this.#language
    const folded = (how: FoldOp, f?: (v: string) => string): string =>
      this.#fold(how, counts, (ks) => (f === undefined ? term(ks) : this.#write.number(f(term(ks)))))
    switch (op) {
      case 'mean':
        return this.#write.number(`${folded('sum')} / ${literal(count)}`)
      case 'variance': {
        const mean = this.#write.number(`${folded('sum')} / ${literal(count)}`)
        const squares = folded('sum', (v) => `(${v} - ${mean}) * (${v} - ${mean})`)
        const divisor = Math.max(count - correction, 0)
        return this.#write.number(divisor === 0 ? `${squares} * ${inf}` : `${squares} / ${literal(divisor)}`)
      }
      case 'norm': {
        const largest = folded('max', (v) => `${abs}(${v})`)
        const squares = folded('sum', (v) => `(${v} / ${largest}) * (${v} / ${largest})`)
        return this.#write.number(
          choose(both(`${largest} > 0`, `${largest} < ${inf}`), `${largest} * ${sqrt}(${squares})`, largest),
        )
      }
      case 'logSumExp': {
        const largest = folded('max')
        const powers = folded('sum', (v) => `fnExp(${v} - ${largest})`)
        return this.#write.number(
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
    const result = this.#write.variable(this.#language.literal(value))
    const tests: string[] = []
    const moved = own.map((digit, axis) => {
      const [b, stride, side] = [begin[axis]!, strides[axis]!, shape[axis]!]
      // A range that runs backwards is one that runs forwards and is read from its end.
      const step = Math.abs(stride)
      const from = stride < 0 ? b + (side - 1) * stride : b
      const off = from === 0 ? digit : this.#write.integer(`${digit} - ${from}`)
      const k = step === 1 ? off : this.#write.quotient(off, step)
      tests.push(`${off} >= 0`, `${k} < ${side}`)
      if (step !== 1) tests.push(`${factor(k)} * ${step} ${this.#language.equal} ${off}`)
      return stride < 0 ? this.#write.integer(`${side - 1} - ${k}`) : k
    })
    if (tests.length === 0) return this.#valueAt(x, { shape, digits: [] })
    this.#write.branch(tests, () => {
      this.#write.say(`${result} = ${this.#valueAt(x, { shape, digits: moved })};`)
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
