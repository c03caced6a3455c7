import { type DType, type FloatDType, isFloat } from './dtype.js'
import { formatShape, sizeOf, type Sizes, stridesOf } from './shape.js'

// NumPy's print options as they come.
const PRECISION = 8
const THRESHOLD = 1000
const EDGE_ITEMS = 3
const LINE_WIDTH = 75

/** From here on a float is written with an exponent. float32 holds six digits for certain (NumPy 2.3 on). */
const LARGE: Readonly<Record<FloatDType, number>> = { float32: 1e6, float64: 1e8 }
/** The same where a number stands alone. */
const LARGE_ALONE: Readonly<Record<FloatDType, number>> = { float32: 1e6, float64: 1e16 }

const TENSOR = 'tensor('

/**
 * A tensor's values as NumPy's `str` prints them: at most 8 decimals and no more than it takes to tell a value
 * from its neighbours, columns aligned, lines of 75 characters, the middle left out above 1000 elements.
 * bools are `true` and `false`; a tensor without axes is its bare value.
 *
 * @example
 * formatTensor([1, 2.5, -3, 4], [2, 2], 'float32') // '[[ 1.   2.5]\n [-3.   4. ]]'
 */
export function formatTensor(
  data: ArrayLike<number> | readonly string[],
  shape: readonly number[],
  dtype: DType,
): string {
  return shape.length === 0 ? formatAlone(data[0]!, dtype) : formatArray(data, shape, dtype, ' ', '')
}

/**
 * A tensor as a console shows it, laid out like NumPy's `repr`: values with commas, shape and dtype.
 *
 * @example
 * inspectTensor([1, 2, 3, 4], [2, 2], 'float32') // 'tensor([[1., 2.],\n        [3., 4.]], shape [2,2], float32)'
 */
export function inspectTensor(
  data: ArrayLike<number> | readonly string[],
  shape: readonly number[],
  dtype: DType,
): string {
  const values = `${TENSOR}${formatArray(data, shape, dtype, ', ', TENSOR)},`
  const facts = `shape ${formatShape(shape)}, ${dtype})`
  const lastLine = values.slice(values.lastIndexOf('\n') + 1)
  const fits = widthOf(lastLine) + 1 + facts.length <= LINE_WIDTH
  return `${values}${fits ? ' ' : `\n${' '.repeat(TENSOR.length)}`}${facts}`
}

/** Where cells of the same width go. */
interface Layout {
  /** Row-major, of shape `sides`. */
  readonly cells: readonly string[]
  readonly sides: Sizes
  readonly strides: Sizes
  /** Per axis: are items left out in the middle? */
  readonly cut: readonly boolean[]
  readonly separator: string
}

/** `prefix` is what the caller writes before the array; with one, there is also a bracket to close behind it. */
function formatArray(
  data: ArrayLike<number> | readonly string[],
  shape: Sizes,
  dtype: DType,
  separator: string,
  prefix: string,
): string {
  const size = sizeOf(shape)
  if (size === 0) return '[]'
  const cut = shape.map((side) => size > THRESHOLD && side > 2 * EDGE_ITEMS)
  const sides = shape.map((side, axis) => (cut[axis]! ? 2 * EDGE_ITEMS : side))
  const values = cornerOffsets(shape, cut).map((offset) => data[offset]!)
  const cells = formatCells(values, dtype, shape.length)
  const layout = { cells, sides, strides: stridesOf(sides), cut, separator }
  return nest(layout, 0, 0, ' '.repeat(prefix.length + 1), LINE_WIDTH - (prefix === '' ? 0 : 1))
}

/** Offsets into the whole array of the elements that are shown, in order. */
function cornerOffsets(shape: Sizes, cut: readonly boolean[]): number[] {
  let offsets = [0]
  shape.forEach((side, axis) => {
    const head = Array.from({ length: cut[axis]! ? EDGE_ITEMS : side }, (_, i) => i)
    const shown = cut[axis]! ? [...head, ...head.map((i) => side - EDGE_ITEMS + i)] : head
    offsets = offsets.flatMap((offset) => shown.map((i) => offset * side + i))
  })
  return offsets
}

/** The brackets of `axis` and what is in them. `indent` is what continuation lines begin with. */
function nest(layout: Layout, axis: number, offset: number, indent: string, width: number): string {
  const { cells, sides, strides, cut, separator } = layout
  const rank = sides.length
  if (axis === rank) return cells[offset]!
  const items = Array.from({ length: sides[axis]! }, (_, i) =>
    nest(layout, axis + 1, offset + i * strides[axis]!, `${indent} `, width - 1),
  )
  if (cut[axis]!) items.splice(EDGE_ITEMS, 0, '...')
  const inside =
    axis === rank - 1
      ? wrap(items, separator, indent, width - 1)
      : items.join(`${separator.trimEnd()}${'\n'.repeat(rank - axis - 1)}${indent}`)
  return `[${inside}]`
}

/** Items in lines of at most `width` characters, but at least one item in each. */
function wrap(items: readonly string[], separator: string, indent: string, width: number): string {
  const lines: string[] = []
  let line = ''
  let column = indent.length
  items.forEach((item, i) => {
    const itemWidth = widthOf(item)
    if (line !== '' && column + itemWidth > width) {
      lines.push(line.trimEnd())
      line = ''
      column = indent.length
    }
    const text = i < items.length - 1 ? item + separator : item
    line += text
    column += itemWidth + text.length - item.length
  })
  return [...lines, line].join(`\n${indent}`)
}

/** Length in code points, as Python counts. */
function widthOf(text: string): number {
  return Array.from(text).length
}

function formatCells(values: readonly (number | string)[], dtype: DType, rank: number): string[] {
  if (dtype === 'string') return values.map((value) => quote(String(value)))
  const numbers = values.map((value) => numberOf(value, dtype))
  if (isFloat(dtype)) return formatFloats(numbers, dtype)
  if (dtype === 'bool') return numbers.map((x) => wordOf(x).padStart(rank === 0 ? 0 : 5))
  const texts = numbers.map(String)
  const width = longest(texts)
  return texts.map((text) => text.padStart(width))
}

function numberOf(value: number | string, dtype: DType): number {
  return dtype === 'float32' ? Math.fround(Number(value)) : Number(value)
}

function wordOf(x: number): string {
  return x !== 0 ? 'true' : 'false'
}

function longest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, text.length), 0)
}

/** A tensor without axes: no rounding, no quotes. */
function formatAlone(value: number | string, dtype: DType): string {
  if (dtype === 'string') return String(value)
  const x = numberOf(value, dtype)
  if (dtype === 'bool') return wordOf(x)
  if (!isFloat(dtype)) return String(x)
  if (!Number.isFinite(x)) return nonFinite(x)
  const decimal = shortest(Math.abs(x), dtype)
  if (x !== 0 && (Math.abs(x) < 1e-4 || Math.abs(x) >= LARGE_ALONE[dtype])) {
    const [left, fraction] = pointAfter(1, decimal)
    return `${signOf(x)}${left}${fraction === '' ? '' : `.${fraction}`}${exponentText(decimal.exponent, 2)}`
  }
  const [left, fraction] = pointAfter(decimal.exponent + 1, decimal)
  return `${signOf(x)}${left}.${fraction === '' ? '0' : fraction}`
}

/** Cells of one width with their points in one column. */
function formatFloats(values: readonly number[], dtype: FloatDType): string[] {
  const finite = values.filter(Number.isFinite)
  const sides = wantsExponent(finite, dtype) ? scientific(finite, dtype) : positional(finite, dtype)
  const rightWidth = longest(sides.map(([, right]) => right))
  const leftWidth = Math.max(
    longest(sides.map(([left]) => left)),
    longest(values.filter((x) => !Number.isFinite(x)).map(nonFinite)) - 1 - rightWidth,
  )
  let next = 0
  return values.map((x) => {
    if (!Number.isFinite(x)) return nonFinite(x).padStart(leftWidth + 1 + rightWidth)
    const [left, right] = sides[next++]!
    return `${left.padStart(leftWidth)}.${right.padEnd(rightWidth)}`
  })
}

function nonFinite(x: number): string {
  return Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '-inf'
}

function signOf(x: number): string {
  return x < 0 || Object.is(x, -0) ? '-' : ''
}

/** Exponents are for arrays with large, small or widely spread magnitudes, in the arithmetic of the dtype. */
function wantsExponent(finite: readonly number[], dtype: FloatDType): boolean {
  const round = dtype === 'float32' ? Math.fround : Number
  const sizes = finite.filter((x) => x !== 0).map(Math.abs)
  const most = sizes.reduce((a, b) => Math.max(a, b), 0)
  const least = sizes.reduce((a, b) => Math.min(a, b), Infinity)
  return most >= LARGE[dtype] || least < round(1e-4) || round(most / least) > 1000
}

/** What stands left and right of a number's point. */
type Halves = readonly [left: string, right: string]

function positional(finite: readonly number[], dtype: FloatDType): Halves[] {
  return finite.map((x) => {
    const size = Math.abs(x)
    const unique = shortest(size, dtype)
    const places = unique.digits.length - 1 - unique.exponent
    const decimal = places <= PRECISION ? unique : rounded(size, PRECISION)
    const [left, right] = pointAfter(decimal.exponent + 1, decimal)
    return [signOf(x) + left, right]
  })
}

/** All with the same number of decimals; those beyond a value's unique digits are its true ones. */
function scientific(finite: readonly number[], dtype: FloatDType): Halves[] {
  const shortened = finite.map((x) => {
    const unique = shortest(Math.abs(x), dtype)
    return unique.digits.length <= PRECISION + 1 ? unique : rounded(Math.abs(x), PRECISION - unique.exponent)
  })
  const places = longest(shortened.map(({ digits }) => digits)) - 1
  const decimals = shortened.map((decimal, i) => {
    const size = Math.abs(finite[i]!)
    return decimal.digits.length > places ? decimal : rounded(size, places - exponentOf(size))
  })
  const exponentDigits = Math.max(2, longest(decimals.map(({ exponent }) => String(Math.abs(exponent)))))
  return decimals.map((decimal, i) => {
    const [left, right] = pointAfter(1, decimal)
    return [
      signOf(finite[i]!) + left,
      right.padEnd(places, '0') + exponentText(decimal.exponent, exponentDigits),
    ]
  })
}

function exponentText(exponent: number, digits: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(digits, '0')}`
}

/** d.ddd * 10^exponent, without trailing zeros; zero is 0 * 10^0. */
interface Decimal {
  readonly digits: string
  readonly exponent: number
}

/** The digits with the point after `count` of them, filled up with zeros on either side. */
function pointAfter(count: number, { digits }: Decimal): Halves {
  if (count <= 0) return ['0', '0'.repeat(-count) + digits]
  return [digits.slice(0, count).padEnd(count, '0'), digits.slice(count)]
}

/** The fewest digits that are read back as `x` >= 0, and of those the nearest to it. */
function shortest(x: number, dtype: FloatDType): Decimal {
  if (dtype === 'float32') return shortestFloat32(x)
  // ECMAScript asks for exactly these digits.
  const [digits = '', exponent] = x.toExponential().split('e')
  return { digits: digits.replace('.', ''), exponent: Number(exponent) }
}

/** All that matters below are multiples of 2^-151: a quarter of the smallest float32. */
const FINEST_BITS = 151

/** Tries 1 to 9 digits in exact arithmetic (Steele & White 1990); any float32 is told apart by 9. */
function shortestFloat32(x: number): Decimal {
  if (x === 0) return { digits: '0', exponent: 0 }
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0]!
  const below = float32Of(bits - 1)
  const above = float32Of(bits + 1)
  // The largest float32 has no neighbour above, but the same gap as below.
  const low = finest((below + x) / 2)
  const value = finest(x)
  const high = finest(x + (above === Infinity ? x - below : above - x) / 2)
  // What is halfway between two floats is read as the one with the even significand.
  const slack = bits % 2 === 0 ? 0n : 1n
  const exponent = exponentOf(x)
  for (let length = 1; ; length++) {
    const power = exponent - length + 1
    const ten = 10n ** BigInt(Math.abs(power))
    const scale = power < 0 ? ten : 1n
    const unit = (power < 0 ? 1n : ten) << BigInt(FINEST_BITS)
    const fits = (n: bigint) => n * unit >= low * scale + slack && n * unit <= high * scale - slack
    const floor = (value * scale) / unit
    const twiceRest = 2n * (value * scale - floor * unit)
    const isUp = twiceRest > unit || (twiceRest === unit && floor % 2n === 1n)
    const found = (isUp ? [floor + 1n, floor] : [floor, floor + 1n]).find(fits)
    if (found !== undefined) return decimalOf(found, -power)
  }
}

function finest(x: number): bigint {
  return BigInt(x * 2 ** FINEST_BITS)
}

/** The float32 with these bits. */
function float32Of(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!
}

/** `x` >= 0 to `places` decimals (before the point where negative), halves to even. */
function rounded(x: number, places: number): Decimal {
  let bits = 0n
  for (; !Number.isInteger(x); x *= 2 ** 32) bits += 32n
  const ten = 10n ** BigInt(Math.abs(places))
  const above = places < 0 ? BigInt(x) : BigInt(x) * ten
  const below = (places < 0 ? ten : 1n) << bits
  const floor = above / below
  const twiceRest = 2n * (above - floor * below)
  const isUp = twiceRest > below || (twiceRest === below && floor % 2n === 1n)
  return decimalOf(isUp ? floor + 1n : floor, places)
}

/** n / 10^places */
function decimalOf(n: bigint, places: number): Decimal {
  if (n === 0n) return { digits: '0', exponent: 0 }
  const text = n.toString()
  return { digits: text.replace(/0+$/, ''), exponent: text.length - 1 - places }
}

/** floor(log10(x)) for x > 0, and 0 for 0. No float rounds up to a power of ten at 20 decimals but that power. */
function exponentOf(x: number): number {
  return Number(x.toExponential(20).split('e')[1])
}

/** As Python writes a string: single quotes unless only those occur in it, what cannot be seen escaped. */
function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inside = text.replace(/[\\'\p{C}\p{Z}]/gu, (c) => {
    if (c === '\\' || c === mark) return `\\${c}`
    if (c === ' ' || c === "'") return c
    return ESCAPES[c] ?? escapeCode(c.codePointAt(0)!)
  })
  return mark + inside + mark
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeCode(code: number): string {
  const hex = code.toString(16)
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
