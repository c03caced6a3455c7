import { type Aval, type Kernel, type ReduceOp, sizeOf, stridesOf } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { I, isLong, loop, withIntegers } from '../text.js'
import {
  type Argument,
  array,
  inSteps,
  integer,
  launch,
  launchWide,
  number,
  type Operand,
  vectors,
} from './launch.js'
import { copy } from './movement.js'
import { byRows, LOG_SOFTMAX, reductionOf, SOFTMAX } from './rows.js'

/** An operand as [outer, count, inner], to be reduced over the middle axis. */
interface Rows {
  readonly x: Storage
  readonly outer: number
  readonly count: number
  readonly inner: number
}

/** How values are put together: `term` of a value `v` (and of the row's `c`), onto `acc` from `start`. */
interface Folding {
  readonly name: string
  readonly start: string
  readonly term?: string
  readonly fold: string
  /** What has become of the terms, once more folded: a sum of squares is summed, not squared again. */
  readonly refold?: Folding
}

const SUM: Folding = { name: 'sum', start: '0', fold: 'acc + v' }
const MAX: Folding = { name: 'max', start: '(-inf)', fold: 'fnMax(acc, v)' }
const MIN: Folding = { name: 'min', start: 'inf', fold: 'fnMin(acc, v)' }
const PROD: Folding = { name: 'prod', start: '1', fold: 'acc * v' }
const ANY: Folding = { name: 'any', start: '0', fold: '(v !== 0 ? 1 : acc)' }
const ALL: Folding = { name: 'all', start: '1', fold: '(v !== 0 ? acc : 0)' }
const SQUARES: Folding = {
  name: 'squares',
  start: '0',
  term: '(v - c) * (v - c)',
  fold: 'acc + v',
  refold: SUM,
}
const SCALED_SQUARES: Folding = {
  name: 'scaled',
  start: '0',
  term: '(v / c) * (v / c)',
  fold: 'acc + v',
  refold: SUM,
}
const LARGEST: Folding = {
  name: 'largest',
  start: '0',
  term: 'Math.abs(v)',
  fold: 'fnMax(acc, v)',
  refold: MAX,
}
const POWERS: Folding = { name: 'powers', start: '0', term: 'fnExp(v - c)', fold: 'acc + v', refold: SUM }

/**
 * Folds each row into one value. Terms are folded in groups of 64 and these again, so that rounding grows slowly; long
 * rows that are few are cut into parts first, which are folded side by side. Where values lie by fours, four rows that
 * are neighbours are folded at once, and of a row by itself every fourth term.
 */
function fold(device: Device, { x, outer, count, inner }: Rows, folding: Folding, center?: Storage): Storage {
  const { refold = folding } = folding
  if (device.packs && inner === 1 && count % 4 === 0 && count >= 16) {
    const { parts, partial } = foldedParts(device, { x, outer, count: count / 4, inner: 4 }, folding, center)
    return inSteps(device, (keep) =>
      fold(device, { x: keep(partial), outer, count: parts * 4, inner: 1 }, refold),
    )
  }
  const { parts, partial } = foldedParts(device, { x, outer, count, inner }, folding, center)
  if (parts === 1) return partial
  return inSteps(device, (keep) => fold(device, { x: keep(partial), outer, count: parts, inner }, refold))
}

/** Each row folded in so many parts, of the shape [outer, parts, inner]. There is a center for each row, or for each four. */
function foldedParts(
  device: Device,
  { x, outer, count, inner }: Rows,
  folding: Folding,
  center: Storage | undefined,
): { parts: number; partial: Storage } {
  const rows = outer * inner
  const parts =
    count > 256 && rows < 2048 ? Math.ceil(Math.sqrt(count)) : count > 65_536 ? Math.ceil(count / 4096) : 1
  const each = Math.ceil(count / parts)
  const isWide = device.packs && inner % 4 === 0
  const of = isWide ? vectors : array
  const isShared = center !== undefined && center.length < rows
  const args: Argument[] = [of('x', x)]
  if (center !== undefined) args.push((isShared ? array : of)('center', center))
  args.push(integer('count', count), integer('inner', isWide ? inner / 4 : inner))
  args.push(integer('parts', parts), integer('each', each))
  const { name, start, term = 'v', fold: next, refold = folding } = folding
  if (/\binf\b/.test(start)) args.push(number('inf', Infinity))
  const groups = each > GROUP
  const lanes = isWide ? [0, 1, 2, 3] : [0]
  const at = (value: string, lane: number): string => (isWide ? `${value}[${lane}]` : value)
  const all = (write: (lane: number) => string): string => lanes.map(write).join('\n')
  const onto = (acc: string, v: string, how: string): string =>
    `${acc} = ${how.replace(/\bacc\b/g, acc).replace(/\bv\b/g, v)};`
  const partial = launchWide(
    device,
    `fold ${name} ${groups} ${isWide} ${isShared}`,
    args,
    rows * parts,
    lanes.length,
    () => {
      // Part p takes the terms p, p + parts, …, so that neighbours read neighbours.
      const take = (acc: string): string =>
        `const u = x[(o * count + k) * inner + j];\n${all((lane) => {
          const one = term.replace(/\bv\b/g, at('u', lane)).replace(/\bc\b/g, isShared ? 'c' : at('c', lane))
          return onto(`${acc}${lane}`, one, next)
        })}`
      const body = groups
        ? `for (let g = 0; g * ${GROUP} < each; g++) {
          ${all((lane) => `let some${lane} = ${start};`)}
          for (let h = 0; h < ${GROUP}; h++) {
            ${withIntegers([['k', `(g * ${GROUP} + h) * parts + p`]], `if (k < count) {\n${take('some')}\n}`)}
          }
          ${all((lane) => onto(`sum${lane}`, `some${lane}`, refold.fold))}
        }`
        : `for (let h = 0; h < each; h++) {
          ${withIntegers([['k', 'h * parts + p']], `if (k < count) {\n${take('sum')}\n}`)}
        }`
      const centered = center === undefined ? '' : `const c = center[${isShared ? 'o' : 'o * inner + j'}];\n`
      return withIntegers(
        [
          ['row', `idiv(${I}, inner)`],
          ['j', `${I} - row * inner`],
          ['o', 'idiv(row, parts)'],
          ['p', 'row - o * parts'],
        ],
        `${centered}${all((lane) => `let sum${lane} = ${start};`)}\n${body}\nreturn ${
          isWide ? '[sum0, sum1, sum2, sum3]' : 'sum0'
        };`,
      )
    },
  )
  return { parts, partial }
}
const GROUP = 64

/** The operand with the axes to reduce together, moved to the end where they are not. */
function asRows(
  device: Device,
  axes: readonly number[],
  { storage, shape }: Operand,
): { rows: Rows; moved?: Storage } {
  const x = storage as Storage
  const first = axes[0] ?? 0
  const last = axes[axes.length - 1] ?? -1
  const isBetween = shape.some(
    (side, axis) => side !== 1 && axis > first && axis < last && !axes.includes(axis),
  )
  const count = axes.reduce((n, axis) => n * shape[axis]!, 1)
  if (!isBetween) {
    const kept = shape.map((side, axis) => (axes.includes(axis) ? 1 : side))
    return { rows: { x, outer: sizeOf(kept.slice(0, first)), count, inner: sizeOf(kept.slice(first)) } }
  }
  const keep = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const own = stridesOf(shape)
  const perm = [...keep, ...axes]
  const moved = copy(
    device,
    x,
    0,
    perm.map((axis) => own[axis]!),
    perm.map((axis) => shape[axis]!),
  )
  return { rows: { x: moved, outer: sizeOf(keep.map((axis) => shape[axis]!)), count, inner: 1 }, moved }
}

const FOLDINGS: { readonly [O in ReduceOp]?: Folding } = {
  sum: SUM,
  prod: PROD,
  max: MAX,
  min: MIN,
  any: ANY,
  all: ALL,
}

export function reduce(
  device: Device,
  { op, axes, correction = 0 }: Extract<Kernel, { kind: 'reduce' }>,
  x: Operand,
  out: Aval,
): Storage {
  return inSteps(device, (keep) => {
    const { rows, moved } = asRows(device, axes, x)
    if (moved !== undefined) keep(moved)
    const divisor = Math.max(rows.count - correction, 0)
    if (rows.inner === 1) {
      const whole = byRows(device, op, reductionOf(op, divisor), rows, divisor)
      if (whole !== undefined) return whole
    }
    const size = sizeOf(out.shape)
    const folded = (folding: Folding, center?: Storage): Storage => fold(device, rows, folding, center)
    /** The folded values, changed by a formula of `v` (and of `c`, the second). */
    const finish = (
      key: string,
      values: Storage,
      formula: string,
      extra: readonly Argument[] = [],
    ): Storage =>
      launch(
        device,
        `finish ${key}`,
        [array('x', values), ...extra],
        size,
        () => `const v = x[${I}];\nreturn ${formula};`,
      )
    const simple = FOLDINGS[op]
    if (simple !== undefined) return folded(simple)
    switch (op) {
      case 'mean':
        return finish('mean', keep(folded(SUM)), 'v / divisor', [number('divisor', rows.count)])
      case 'variance': {
        const mean = keep(finish('mean', keep(folded(SUM)), 'v / divisor', [number('divisor', rows.count)]))
        const squares = keep(folded(SQUARES, mean))
        return divisor === 0
          ? finish('variance of one', squares, 'v * inf', [number('inf', Infinity)])
          : finish('mean', squares, 'v / divisor', [number('divisor', divisor)])
      }
      case 'norm': {
        const largest = keep(folded(LARGEST))
        const squares = keep(folded(SCALED_SQUARES, largest))
        const formula = `(largest[${I}] > 0 && largest[${I}] < inf ? largest[${I}] * Math.sqrt(v) : largest[${I}])`
        return finish('norm', squares, formula, [array('largest', largest), number('inf', Infinity)])
      }
      case 'logSumExp': {
        const largest = keep(folded(MAX))
        const powers = keep(folded(POWERS, largest))
        const formula = `(fnReal(largest[${I}]) > 0 ? largest[${I}] + fnLog(v) : largest[${I}])`
        return finish('logSumExp', powers, formula, [array('largest', largest)])
      }
      default:
        throw new Error(`reduce: ${op} is not known`)
    }
  })
}

/** exp(x - max) / sum(exp(x - max)) along `axis`, or its logarithm. */
export function softmax(device: Device, axis: number, log: boolean, { storage, shape }: Operand): Storage {
  return inSteps(device, (keep) => {
    const x = storage as Storage
    const rows: Rows = {
      x,
      outer: sizeOf(shape.slice(0, axis)),
      count: shape[axis]!,
      inner: sizeOf(shape.slice(axis + 1)),
    }
    if (rows.inner === 1) {
      const whole = byRows(device, `softmax ${log}`, log ? LOG_SOFTMAX : SOFTMAX, rows)
      if (whole !== undefined) return whole
    }
    const largest = keep(fold(device, rows, MAX))
    const sums = keep(fold(device, rows, POWERS, largest))
    const { count, inner } = rows
    const isWide = device.packs && (inner === 1 ? count : inner) % 4 === 0
    const four = isWide ? 4 : 1
    const ofRow = isWide && inner > 1 ? vectors : array
    const args = [
      (isWide ? vectors : array)('x', x),
      ofRow('largest', largest),
      ofRow('sums', sums),
      integer('inner', inner === 1 ? 1 : inner / four),
      integer('width', (inner * count) / four),
    ]
    // The logarithm of a row's sum, which all of its values share.
    const isOwn = log && inner > 1
    const sum = log && inner === 1 ? 'fnLog(sums[row])' : 'sums[row]'
    const value = (v: string, m: string, t: string): string =>
      log ? `${v} - ${m} - ${isOwn ? `fnLog(${t})` : t}` : `fnExp(${v} - ${m}) / ${t}`
    return launchWide(device, `softmax ${log} ${inner === 1} ${isWide}`, args, sizeOf(shape), four, () => {
      const at = (name: string, lane: number): string => (inner === 1 ? name : `${name}[${lane}]`)
      const result = isWide
        ? `[${[0, 1, 2, 3].map((lane) => value(`v[${lane}]`, at('m', lane), at('t', lane))).join(', ')}]`
        : value('v', 'm', 't')
      return withIntegers(
        [
          ['o', `idiv(${I}, width)`],
          ['row', inner === 1 ? 'o' : `o * inner + imod(${I}, inner)`],
        ],
        `const v = x[${I}];\nconst m = largest[row];\nconst t = ${sum};\nreturn ${result};`,
      )
    })
  })
}

/** Position of the first extreme along `axis`; the first NaN wins. */
export function argReduce(
  device: Device,
  op: 'max' | 'min',
  axis: number,
  { storage, shape }: Operand,
): Storage {
  const count = shape[axis]!
  const inner = sizeOf(shape.slice(axis + 1))
  const long = isLong(count)
  const args = [array('x', storage as Storage), integer('count', count), integer('inner', inner)]
  const length = sizeOf(shape.slice(0, axis)) * inner
  return launch(device, `arg ${op} ${long}`, args, length, () =>
    withIntegers(
      [
        ['o', `idiv(${I}, inner)`],
        ['base', `o * count * inner + (${I} - o * inner)`],
      ],
      `let best = 0.0;
      let extreme = x[base];
      ${loop(
        'k',
        'count',
        long,
        `const v = x[base + k * inner];
        if (extreme === extreme && (!(v === v) || v ${op === 'max' ? '>' : '<'} extreme)) { extreme = v; best = k; }`,
      )}
      return best;`,
    ),
  )
}
