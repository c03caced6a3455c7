import { DataError, type DType, gather, random, Tensor, type TypedArray, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { checkFlag, checkKeys, checkNumber, type Range } from '../option-checks.js'

/** Data whose first axis are the rows: a list, a typed array, a tensor, or a record of such. */
export type Splittable =
  Tensor<DType> | TypedArray | readonly unknown[] | { readonly [name: string]: Splittable }

/** A part of the rows of data, as the data is. */
export type SplitOf<X> =
  X extends Tensor<infer D>
    ? Tensor<D>
    : X extends TypedArray
      ? X
      : X extends readonly (infer R)[]
        ? R[]
        : { [K in keyof X]: SplitOf<X[K]> }

/** Options of {@link trainTestSplit}. */
export interface TrainTestSplitOptions {
  /** The share of the rows to test on, in (0, 1), or how many (default: what `trainSize` leaves, or 0.25). */
  readonly testSize?: number
  /** The share of the rows to train on, in (0, 1), or how many (default: the rest). */
  readonly trainSize?: number
  /** Whether the rows are put in random order first (default true). */
  readonly shuffle?: boolean
  /** Makes the order the same each time. */
  readonly seed?: number
  /** A class for each row: both parts get the same shares of each class, as nearly as whole rows can. */
  readonly stratify?: readonly (string | number | boolean)[] | TypedArray
}

const OPTIONS = ['testSize', 'trainSize', 'shuffle', 'seed', 'stratify']
const SIZE: Range = {
  holds: (x) => (x > 0 && x < 1) || (Number.isInteger(x) && x >= 1),
  words: 'a share in (0, 1) or a whole number of rows >= 1',
}

/**
 * Splits rows into those to train and those to test on, the same ones of all data given, in the order of scikit-learn's
 * `train_test_split`.
 * @throws DataError for data of different numbers of rows, ValueError for sizes that leave a part empty.
 * @example const [xTrain, xTest, yTrain, yTest] = trainTestSplit(x, y, { testSize: 0.2, seed: 1 })
 */
export function trainTestSplit<X extends Splittable>(
  x: X,
  options?: TrainTestSplitOptions,
): [SplitOf<X>, SplitOf<X>]
export function trainTestSplit<X extends Splittable, Y extends Splittable>(
  x: X,
  y: Y,
  options?: TrainTestSplitOptions,
): [SplitOf<X>, SplitOf<X>, SplitOf<Y>, SplitOf<Y>]
export function trainTestSplit<X extends Splittable, Y extends Splittable, W extends Splittable>(
  x: X,
  y: Y,
  weights: W,
  options?: TrainTestSplitOptions,
): [SplitOf<X>, SplitOf<X>, SplitOf<Y>, SplitOf<Y>, SplitOf<W>, SplitOf<W>]
export function trainTestSplit(...args: readonly unknown[]): unknown[] {
  const last = args.at(-1)
  const hasOptions = args.length > 1 && (last === undefined || isOptions(last))
  const data = hasOptions ? args.slice(0, -1) : args
  const { train, test } = chosenRows(rowsOfAll(data), (hasOptions ? last : undefined) ?? {})
  return data.flatMap((each) => [pick(each, train), pick(each, test)])
}

/** A record of columns is data; one that holds none is options, known or not. */
function isOptions(value: unknown): value is TrainTestSplitOptions {
  if (!isRecord(value)) return false
  const keys = Object.keys(value)
  return keys.every((key) => OPTIONS.includes(key)) || !Object.values(value).some(holdsRows)
}

const isList = (x: unknown): x is ArrayLike<unknown> =>
  Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView))
const holdsRows = (x: unknown): boolean => isList(x) || x instanceof Tensor || isRecord(x)

function rowsOfAll(data: readonly unknown[]): number {
  let rows: number | undefined
  let first = ''
  const check = (x: unknown, what: string): void => {
    if (isRecord(x)) {
      for (const [key, value] of Object.entries(x)) check(value, `${what}.${key}`)
      return
    }
    if (!isList(x) && !(x instanceof Tensor && x.rank > 0))
      throw new DataError(
        `trainTestSplit: ${what} must be a list, a typed array, a tensor with rows or a record of such, got ${show(x)}`,
      )
    const own = x instanceof Tensor ? (x.shape as readonly number[])[0]! : x.length
    if (rows === undefined) {
      rows = own
      first = what
    } else if (own !== rows)
      throw new DataError(`trainTestSplit: ${first} has ${rows} rows, ${what} has ${own}`)
  }
  for (const [i, x] of data.entries()) check(x, ['x', 'y', 'weights'][i] ?? `argument ${i + 1}`)
  if (rows === undefined) throw new DataError('trainTestSplit: there is no data to split')
  return rows
}

function pick(x: unknown, rows: readonly number[]): unknown {
  if (x instanceof Tensor) return gather(x, [...rows])
  if (isRecord(x))
    return Object.fromEntries(Object.entries(x).map(([key, value]) => [key, pick(value, rows)]))
  if (Array.isArray(x)) return rows.map((row) => x[row] as unknown)
  const from = x as TypedArray
  const to = from.slice(0, rows.length)
  for (const [i, row] of rows.entries()) to[i] = from[row]!
  return to
}

interface Parts {
  readonly train: readonly number[]
  readonly test: readonly number[]
}

function chosenRows(rows: number, options: TrainTestSplitOptions): Parts {
  const op = 'trainTestSplit'
  checkKeys(op, options, OPTIONS)
  const { seed, stratify } = options
  const shuffle = checkFlag(op, 'shuffle', options.shuffle ?? true)
  const [trainRows, testRows] = sizes(rows, options)
  if (!shuffle) {
    if (stratify !== undefined) throw new ValueError(`${op}: stratify needs the rows shuffled`)
    const all = Array.from({ length: trainRows + testRows }, (_, i) => i)
    return { train: all.slice(0, trainRows), test: all.slice(trainRows) }
  }
  const order = [...random.permutation(rows, seed === undefined ? {} : { seed }).dataSync()]
  if (stratify === undefined)
    return { test: order.slice(0, testRows), train: order.slice(testRows, testRows + trainRows) }
  if (!isList(stratify) || stratify.length !== rows)
    throw new DataError(
      `${op}: stratify must be a list of ${rows} classes, one for each row, got ${isList(stratify) ? stratify.length : show(stratify)}`,
    )
  return stratified(order, stratify, trainRows, testRows)
}

/** Sizes as scikit-learn has them: the test part is rounded up, the training part down. */
function sizes(rows: number, { testSize, trainSize }: TrainTestSplitOptions): readonly [number, number] {
  const op = 'trainTestSplit'
  if (testSize !== undefined) checkNumber(op, 'testSize', testSize, SIZE)
  if (trainSize !== undefined) checkNumber(op, 'trainSize', trainSize, SIZE)
  const share = testSize ?? (trainSize === undefined ? 0.25 : undefined)
  const asked = trainSize !== undefined && trainSize < 1 ? Math.floor(trainSize * rows) : trainSize
  const test = share === undefined ? rows - asked! : share < 1 ? Math.ceil(share * rows) : share
  const train = asked ?? rows - test
  if (train < 1 || test < 1 || train + test > rows)
    throw new ValueError(
      `${op}: of ${rows} rows there cannot be ${train} to train and ${test} to test on; both need at least 1, and together at most ${rows}`,
    )
  return [train, test]
}

function stratified(
  order: readonly number[],
  classes: ArrayLike<unknown>,
  trainRows: number,
  testRows: number,
): Parts {
  const groups = new Map<unknown, number[]>()
  for (const row of order) {
    const group = groups.get(classes[row])
    if (group === undefined) groups.set(classes[row], [row])
    else group.push(row)
  }
  for (const [name, { length }] of groups)
    if (length < 2)
      throw new ValueError(
        `trainTestSplit: class ${show(name)} has 1 row; stratify needs at least 2, one for each part`,
      )
  if (Math.min(trainRows, testRows) < groups.size)
    throw new ValueError(
      `trainTestSplit: ${trainRows} rows to train and ${testRows} to test on are too few for ${groups.size} classes`,
    )
  const lists = [...groups.values()]
  const counts = lists.map(({ length }) => length)
  const ofTrain = shares(counts, trainRows)
  const ofTest = shares(
    counts.map((count, i) => count - ofTrain[i]!),
    testRows,
  )
  const train = new Set<number>()
  const test = new Set<number>()
  for (const [i, list] of lists.entries()) {
    for (const row of list.slice(0, ofTrain[i])) train.add(row)
    for (const row of list.slice(ofTrain[i], ofTrain[i]! + ofTest[i]!)) test.add(row)
  }
  return { train: order.filter((row) => train.has(row)), test: order.filter((row) => test.has(row)) }
}

/** `total` in whole numbers in proportion to the counts: each rounded down, the largest remainders up. */
function shares(counts: readonly number[], total: number): number[] {
  const all = counts.reduce((a, b) => a + b, 0)
  const exact = counts.map((count) => (count * total) / all)
  const whole = exact.map(Math.floor)
  const left = total - whole.reduce((a, b) => a + b, 0)
  const byRemainder = exact.map((x, i) => [x - whole[i]!, i] as const).sort((a, b) => b[0] - a[0])
  for (const [, i] of byRemainder.slice(0, left)) whole[i]!++
  return whole
}
