import { DataError, DTypeError, NonFiniteError, ValueError } from '@adjoint/core'
import { didYouMean, isRecord, show, typeName } from '@adjoint/core/extend'
import { checkChoice, checkKeys } from '../option-checks.js'
import { isColumnData, valuesOf } from '../trainer/columns.js'
import type { ColumnData } from '../types.js'

/** What is made of a column: numbers, the numbers of classes, or texts for a lookup in the model. */
export type ColumnKind = 'numeric' | 'categorical' | 'text'
export type Category = string | number | boolean

/** A column with options: `from` names the keys of the rows it is made of (default: its own name). */
export type ColumnChoice =
  | ColumnKind
  | {
      readonly kind: 'numeric'
      /** Several keys make rows of several numbers. */
      readonly from?: string | readonly string[]
      /** A number to stand for missing ones; 'mask' for NaN, which `missingTargets: 'mask'` leaves out. */
      readonly missing?: number | 'mask'
    }
  | {
      readonly kind: 'categorical'
      readonly from?: string
      /** The classes in order; without them, those that there are, in order. */
      readonly categories?: readonly Category[]
      /** 'class' gives all that are none of them, and what is missing, a class 0 of their own. */
      readonly unknown?: 'error' | 'class'
      /** 'mask' gives what is missing the number -1, which `missingTargets: 'mask'` leaves out. */
      readonly missing?: 'mask'
    }
  | { readonly kind: 'text'; readonly from?: string; readonly missing?: string }

/** One column of many rows, as data for `fit` and its kin; as a choice for other rows, which get the same columns. */
export interface NumericColumn extends ColumnData<number | ArrayLike<number>> {
  readonly kind: 'numeric'
  readonly from: readonly string[]
  readonly missing?: number | 'mask'
}
export interface CategoricalColumn extends ColumnData<number> {
  readonly kind: 'categorical'
  readonly from: string
  /** The class of each number. */
  readonly categories: readonly Category[]
  readonly unknown: 'error' | 'class'
  readonly missing?: 'mask'
}
export interface TextColumn extends ColumnData<string> {
  readonly kind: 'text'
  readonly from: string
  readonly missing?: string
}

type KindOf<C> = C extends ColumnKind
  ? C
  : C extends { readonly kind: infer K extends ColumnKind }
    ? K
    : never
type ColumnOf<K> = K extends 'text' ? TextColumn : K extends 'categorical' ? CategoricalColumn : NumericColumn
interface Holds {
  numeric: number | boolean
  categorical: Category
  text: string
}
/** The keys of rows whose values may become a column of a kind. */
type KeysFor<Row, K extends ColumnKind> = string extends keyof Row
  ? string
  : { [N in keyof Row]-?: [NonNullable<Row[N]>] extends [Holds[K]] ? N : never }[keyof Row]
type SourceOf<N, C> = C extends { readonly from: infer F } ? (F extends readonly (infer E)[] ? E : F) : N
type Checked<Row, C> = {
  readonly [N in keyof C]: C[N] extends { toArray(): unknown }
    ? C[N]
    : SourceOf<N, C[N]> extends KeysFor<Row, KindOf<C[N]>>
      ? C[N]
      : `the rows have no ${KindOf<C[N]>} values under ${SourceOf<N, C[N]> & string}`
}

const UNKNOWN = '[UNK]'

/**
 * Columns from rows of objects, by the name that each is to have. Numeric columns hold numbers and booleans, categorical
 * ones become class numbers from 0, texts stay texts. Other rows get the same columns by giving these as the choices.
 * @throws DataError that names row and column for what is missing or of another type, and for unknown columns.
 * @example const { size, city } = fromRows(rows, { size: { kind: 'numeric', from: ['w', 'h'] }, city: 'categorical' })
 */
export function fromRows<Row extends object, const C extends Readonly<Record<string, ColumnChoice>>>(
  rows: Iterable<Row> | ColumnData<Row>,
  columns: C & Checked<Row, C>,
): { readonly [N in keyof C]: ColumnOf<KindOf<C[N]>> } {
  const op = 'fromRows'
  const list = listOf(op, rows)
  if (!isRecord(columns)) throw new ValueError(`${op}: columns must be a record, got ${show(columns)}`)
  const made = Object.entries(columns as Record<string, unknown>).map(([name, choice]) => [
    name,
    columnOf(op, list, name, choice),
  ])
  return Object.fromEntries(made) as { readonly [N in keyof C]: ColumnOf<KindOf<C[N]>> }
}

type AnyRow = Readonly<Record<string, unknown>>

function listOf(op: string, rows: unknown): readonly AnyRow[] {
  const given = isColumnData(rows) ? valuesOf(`${op}: rows`, rows) : rows
  if (typeof given !== 'object' || given === null || !(Symbol.iterator in given))
    throw new DataError(
      `${op}: rows must be a list or another iterable of objects, got ${typeName(rows)} (${show(rows)})`,
    )
  const list = [...(given as Iterable<AnyRow>)]
  list.forEach((row, i) => {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new DataError(`${op}: row ${i} must be an object, got ${typeName(row)} (${show(row)})`)
  })
  return list
}

interface Settings {
  readonly kind: ColumnKind
  readonly from: readonly string[]
  readonly missing: unknown
  readonly categories: readonly Category[] | undefined
  readonly unknown: 'error' | 'class'
}

const OPTIONS: Readonly<Record<ColumnKind, readonly string[]>> = {
  numeric: ['kind', 'from', 'missing'],
  categorical: ['kind', 'from', 'missing', 'categories', 'unknown'],
  text: ['kind', 'from', 'missing'],
}

function settingsOf(what: string, name: string, choice: unknown): Settings {
  const given = typeof choice === 'string' ? { kind: choice } : (choice as Record<string, unknown>)
  if (typeof given !== 'object' || given === null)
    throw new ValueError(
      `${what}: expected "numeric", "categorical", "text" or a record with a kind, got ${show(choice)}`,
    )
  const kind = checkChoice(what, 'kind', given['kind'], ['numeric', 'categorical', 'text'])
  if (!isColumnData(given)) checkKeys(what, given, OPTIONS[kind])
  const { from = name, missing, categories, unknown = 'error' } = given as Partial<Record<string, unknown>>
  const keys = kind === 'numeric' && Array.isArray(from) ? (from as unknown[]) : [from]
  if (keys.length === 0 || !keys.every((key) => typeof key === 'string'))
    throw new ValueError(
      `${what}: from must name a key of the rows${kind === 'numeric' ? ', or several' : ''}, got ${show(from)}`,
    )
  const isFitting = {
    numeric: missing === 'mask' || Number.isFinite(missing),
    categorical: missing === 'mask',
    text: typeof missing === 'string',
  }
  if (missing !== undefined && !isFitting[kind])
    throw new ValueError(`${what}: missing cannot be ${show(missing)} in a ${kind} column`)
  if (
    categories !== undefined &&
    (!Array.isArray(categories) ||
      !categories.every(isCategory) ||
      new Set(categories).size !== categories.length)
  )
    throw new ValueError(
      `${what}: categories must be a list of different texts, numbers or booleans, got ${show(categories)}`,
    )
  return {
    kind,
    from: keys,
    missing,
    categories,
    unknown: checkChoice(what, 'unknown', unknown, ['error', 'class']),
  }
}

const isCategory = (value: unknown): value is Category =>
  typeof value === 'string' ||
  typeof value === 'boolean' ||
  (typeof value === 'number' && Number.isFinite(value))
const isMissing = (value: unknown): boolean => value === null || value === undefined || value !== value

function columnOf(op: string, rows: readonly AnyRow[], name: string, choice: unknown): object {
  const what = `${op}: column ${show(name)}`
  const settings = settingsOf(what, name, choice)
  for (const key of settings.from) checkKey(op, rows, key)
  const { kind, from, missing } = settings
  const kept = missing === undefined ? {} : { missing }
  if (kind === 'numeric') return { kind, from, ...kept, toArray: numericOf(op, rows, settings) }
  const key = from[0]!
  if (kind === 'text') {
    const texts = rows.map((row, i) => textAt(op, row[key], i, key, missing))
    return { kind, from: key, ...kept, toArray: () => texts.slice() }
  }
  const { categories, classes } = classesIn(op, rows, key, settings)
  return { kind, from: key, ...kept, categories, unknown: settings.unknown, toArray: () => classes.slice() }
}

/** @throws DataError for a key that no row has. */
function checkKey(op: string, rows: readonly AnyRow[], key: string): void {
  if (
    rows.length === 0 ||
    rows.some((row) => key in row && !(key in Object.prototype && !Object.hasOwn(row, key)))
  )
    return
  const keys = Object.keys(rows[0]!)
  throw new DataError(
    `${op}: no row has a column ${show(key)}; the first has ${keys.slice(0, 12).join(', ')}.${didYouMean(key, keys)}`,
  )
}

function numericOf(op: string, rows: readonly AnyRow[], { from, missing }: Settings): () => unknown {
  const width = from.length
  const values = new Float64Array(rows.length * width)
  rows.forEach((row, i) => {
    for (let k = 0; k < width; k++) values[i * width + k] = numberAt(op, row[from[k]!], i, from[k]!, missing)
  })
  if (width === 1) return () => values.slice()
  return () => rows.map((_, i) => values.slice(i * width, (i + 1) * width))
}

function numberAt(op: string, value: unknown, row: number, key: string, missing: unknown): number {
  const at = `${op}: row ${row}, column ${show(key)}`
  if (isMissing(value)) {
    if (missing !== undefined) return missing === 'mask' ? NaN : (missing as number)
    throw new DataError(
      `${at}: there is no number (${show(value)}); give { kind: 'numeric', missing: … } to fill it in`,
    )
  }
  if (typeof value !== 'number' && typeof value !== 'boolean') {
    const hint =
      typeof value === 'string' ? '; convert it with Number, or choose "categorical" or "text"' : ''
    throw new DTypeError(`${at}: expected a number, got ${typeName(value)} (${show(value)})${hint}`)
  }
  if (!Number.isFinite(Number(value))) throw new NonFiniteError(`${at}: ${show(value)} is not finite`)
  return Number(value)
}

function textAt(op: string, value: unknown, row: number, key: string, missing: unknown): string {
  if (typeof value === 'string') return value
  const at = `${op}: row ${row}, column ${show(key)}`
  if (!isMissing(value))
    throw new DTypeError(`${at}: expected a text, got ${typeName(value)} (${show(value)})`)
  if (missing !== undefined) return missing as string
  throw new DataError(
    `${at}: there is no text (${show(value)}); give { kind: 'text', missing: '' } to fill it in`,
  )
}

/** Numbers before texts, each in order; the class of what is unknown first. */
function classesIn(
  op: string,
  rows: readonly AnyRow[],
  key: string,
  { categories, unknown, missing }: Settings,
): { categories: readonly Category[]; classes: Int32Array } {
  const given = categories ?? sorted(rows.map((row) => row[key]).filter(isCategory))
  const known = unknown === 'class' && !given.includes(UNKNOWN) ? [UNKNOWN, ...given] : given
  const numbers = new Map(known.map((category, i) => [category, i]))
  const ofUnknown = unknown === 'class' ? numbers.get(UNKNOWN) : undefined
  const classes = Int32Array.from(rows, (row, i) => {
    const value = row[key]
    if (isMissing(value) && missing === 'mask') return -1
    const found = numbers.get(value as Category) ?? ofUnknown
    if (found !== undefined && (isMissing(value) || isCategory(value))) return found
    const at = `${op}: row ${i}, column ${show(key)}`
    if (isMissing(value))
      throw new DataError(
        `${at}: there is no class (${show(value)}); give { kind: 'categorical', unknown: 'class' } to make it one`,
      )
    if (!isCategory(value))
      throw new DTypeError(
        `${at}: expected a text, a number or a boolean, got ${typeName(value)} (${show(value)})`,
      )
    throw new DataError(
      `${at}: ${show(value)} is none of the categories ${show(known)}.${didYouMean(value, known.map(String))}`,
    )
  })
  return { categories: known, classes }
}

function sorted(values: readonly Category[]): Category[] {
  const rank = (value: Category): number => (typeof value === 'string' ? 1 : 0)
  return [...new Set(values)].toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0))
}
