import {
  type Aval,
  type Kernel,
  type ReduceOp,
  type ScalarFunction,
  sizeOf,
  stridesOf,
} from '@adjoint/core/extend'
import type { ArgumentType, Device, Source, Storage } from './device.js'
import { sourceOf } from './formula.js'
import { mapByFours } from './fours.js'
import { I, isLong, loop, withIntegers } from './text.js'
import { broadcastStrides, digitsOf, offsetOf, walkOf } from './walk.js'

/** An input on the device, or a single value that the host knows. */
export interface Operand extends Aval {
  readonly storage: Storage | number
}

/** An argument of a kernel: its name, its type, its value. */
type Argument = readonly [name: string, type: ArgumentType, value: Storage | number]

export const array = (name: string, value: Storage): Argument => [name, 'array', value]
/** An array of which each element is four values. */
export const vectors = (name: string, value: Storage): Argument => [name, 'vectors', value]
const number = (name: string, value: number): Argument => [name, 'number', value]
export const integer = (name: string, value: number): Argument => [name, 'integer', value]
export const integers = (name: string, values: readonly number[]): Argument[] =>
  values.map((value, i) => integer(`${name}${i}`, value))

/** Runs the kernel named by `key`, written by `body` when it is new, on `args`. */
export function launch(
  device: Device,
  key: string,
  args: readonly Argument[],
  length: number,
  body: () => string,
): Storage {
  return launchWide(device, key, args, length, 1, body)
}

/** The same of a kernel that returns `width` values, or that has WGSL of its own. */
export function launchWide(
  device: Device,
  key: string,
  args: readonly Argument[],
  length: number,
  width: number,
  body: () => string,
  own?: { readonly threads: number; readonly wgsl: () => string; readonly byFours?: boolean },
): Storage {
  const program = device.program(`${key}|${args.map(([name]) => name).join()}`, (): Source => ({
    args: args.map(([name, type]) => [name, type]),
    body: body(),
    width,
    ...(own !== undefined && { wgsl: own.wgsl() }),
    ...(own?.byFours === true && { readsVectors: true, writesVectors: true }),
  }))
  return device.run(
    program,
    args.map(([, , value]) => value),
    length,
    own?.threads,
  )
}

/** What frees the storages that were made on the way to a result. */
export class Steps {
  readonly #device: Device
  readonly #made: Storage[] = []

  constructor(device: Device) {
    this.#device = device
  }

  keep(storage: Storage): Storage {
    this.#made.push(storage)
    return storage
  }

  end(result: Storage): Storage {
    for (const storage of this.#made) this.#device.free(storage)
    return result
  }
}

// ---- map

/** out[i] = fn(x[i], y[i], …; params) */
export function map(
  device: Device,
  fn: ScalarFunction,
  params: readonly number[],
  inputs: readonly Operand[],
  out: Aval,
): Storage {
  const size = sizeOf(out.shape)
  const args: Argument[] = []
  const reads: string[] = []
  const strided: number[][] = []
  const stridedAt: number[] = []
  const modes = inputs.map(({ storage, shape }, i) => {
    if (typeof storage === 'number') {
      args.push(number(`a${i}`, storage))
      return 'n'
    }
    args.push(array(`x${i}`, storage))
    const own = sizeOf(shape)
    if (own === 1) return '1'
    if (own === size) return 'i'
    strided.push(broadcastStrides({ shape }, out.shape))
    stridedAt.push(i)
    return 's'
  })
  const { sides, strides } = walkOf(out.shape, strided)
  const rank = strided.length === 0 ? 0 : sides.length
  const { digits, quotients } = digitsOf(rank, I)
  modes.forEach((mode, i) => {
    if (mode === '1') reads.push(`const a${i} = x${i}[0];`)
    if (mode === 'i') reads.push(`const a${i} = x${i}[${I}];`)
    if (mode === 's') reads.push(`const a${i} = x${i}[${offsetOf(digits, `s${i}at`)}];`)
  })
  if (rank > 0) {
    args.push(...integers('n', sides))
    stridedAt.forEach((i, at) => args.push(...integers(`s${i}at`, strides[at]!)))
  }
  params.forEach((value, i) => args.push(number(`p${i}`, value)))
  const formula = sourceOf(fn.body)
  if (/\binf\b/.test(formula)) args.push(number('inf', Infinity))
  if (/\bnan\b/.test(formula)) args.push(number('nan', NaN))
  const stored =
    out.dtype === 'int32' ? `toInt32(${formula})` : out.dtype === 'uint8' ? `toUint8(${formula})` : formula
  const key = `map ${modes.join('')} ${stored}`
  const body = (): string => withIntegers(quotients, `${reads.join('\n')}\nreturn ${stored};`)
  if (device.packs || size % 4 !== 0 || size < LEAST_FOR_FOURS || !modes.every((m) => m === 'i' || m === 'n'))
    return launch(device, key, args, size, body)
  const wgsl = (): string => mapByFours(fn, modes, out.dtype)
  return launchWide(device, `${key} by fours`, args, size, 1, body, {
    threads: size / 4,
    wgsl,
    byFours: true,
  })
}

/** So few elements are not worth a second kernel. */
const LEAST_FOR_FOURS = 2 ** 14

// ---- movement

/** out[i, j, …] = x[start + i * strides[0] + j * strides[1] + …] for all positions of `shape`. */
export function copy(
  device: Device,
  x: Storage,
  start: number,
  strides: readonly number[],
  shape: readonly number[],
): Storage {
  const { sides, strides: merged } = walkOf(shape, [strides])
  const { digits, quotients } = digitsOf(sides.length, I)
  const args = [array('x', x), integer('start', start), ...integers('n', sides), ...integers('s', merged[0]!)]
  return launch(device, 'copy', args, sizeOf(shape), () =>
    withIntegers(quotients, `return x[start + ${offsetOf(digits, 's')}];`),
  )
}

export function permute(device: Device, perm: readonly number[], x: Operand, out: Aval): Storage {
  const strides = stridesOf(x.shape)
  return copy(
    device,
    x.storage as Storage,
    0,
    perm.map((axis) => strides[axis]!),
    out.shape,
  )
}

interface Range {
  readonly begin: readonly number[]
  readonly strides: readonly number[]
}

export function slice(device: Device, { begin, strides }: Range, x: Operand, out: Aval): Storage {
  const own = stridesOf(x.shape)
  return copy(
    device,
    x.storage as Storage,
    begin.reduce((sum, b, axis) => sum + b * own[axis]!, 0),
    strides.map((s, axis) => s * own[axis]!),
    out.shape,
  )
}

/** x at begin + i * strides of the output, `value` elsewhere. A position finds out whether it is one of them. */
export function place(
  device: Device,
  range: Range & { readonly value: number },
  x: Operand,
  out: Aval,
): Storage {
  const rank = out.shape.length
  if (rank === 0) return copy(device, x.storage as Storage, 0, [], [])
  const own = stridesOf(x.shape)
  // From the innermost axis out; a range that runs backwards is one that runs forwards over a reversed x.
  const axes = out.shape.map((_, i) => rank - 1 - i)
  const isBack = (axis: number): boolean => range.strides[axis]! < 0
  const last = (axis: number): number => Math.max(x.shape[axis]! - 1, 0)
  const begin = axes.map((a) => range.begin[a]! + (isBack(a) ? last(a) * range.strides[a]! : 0))
  const start = axes.reduce((sum, a) => sum + (isBack(a) ? last(a) * own[a]! : 0), 0)
  const args = [
    array('x', x.storage as Storage),
    number('value', range.value),
    integer('start', start),
    ...integers(
      'n',
      axes.map((a) => out.shape[a]!),
    ),
    ...integers('b', begin),
    ...integers(
      't',
      axes.map((a) => Math.abs(range.strides[a]!)),
    ),
    ...integers(
      'm',
      axes.map((a) => x.shape[a]!),
    ),
    ...integers(
      's',
      axes.map((a) => (isBack(a) ? -own[a]! : own[a]!)),
    ),
  ]
  return launch(device, 'place', args, sizeOf(out.shape), () => {
    const { digits, quotients } = digitsOf(rank, I)
    // j is how far from the beginning, k which element of x that is.
    const found = digits.map((_, i) => [`k${i}`, `idiv(${digits[i]} - b${i}, t${i})`] as const)
    const isThere = digits.map((d, i) => `${d} >= b${i} && k${i} * t${i} === ${d} - b${i} && k${i} < m${i}`)
    const from = digits.map((_, i) => `k${i} * s${i}`)
    return withIntegers(
      [
        ...quotients,
        ...found.map(([name, value], i) => [name, `from0(${value}, ${digits[i]} - b${i})`] as const),
      ],
      `if (${isThere.join(' && ')}) { return x[start + ${from.join(' + ')}]; }\nreturn value;`,
    )
  })
}

/** Inputs side by side along `axis`, a few at a time where a device reads few at once. */
export function concat(device: Device, axis: number, inputs: readonly Operand[], out: Aval): Storage {
  const inner = sizeOf(out.shape.slice(axis + 1))
  const outer = sizeOf(out.shape.slice(0, axis))
  const steps = new Steps(device)
  let parts = inputs
    .map(({ storage, shape }) => ({ storage: storage as Storage, width: shape[axis]! * inner }))
    .filter(({ width }) => width > 0)
  while (parts.length > 1 || parts.length === 0) {
    const next: typeof parts = []
    for (let at = 0; at < parts.length; at += device.mostArrays) {
      const group = parts.slice(at, at + device.mostArrays)
      if (group.length === 1) {
        next.push(group[0]!)
        continue
      }
      const width = group.reduce((sum, part) => sum + part.width, 0)
      const storage = join(device, group, width, outer)
      next.push({ storage: group.length === parts.length ? storage : steps.keep(storage), width })
    }
    parts = next
  }
  const { storage } = parts[0]!
  const isOwn = inputs.some((input) => input.storage === storage)
  return steps.end(isOwn ? copy(device, storage, 0, [1], [sizeOf(out.shape)]) : storage)
}

function join(
  device: Device,
  parts: readonly { readonly storage: Storage; readonly width: number }[],
  width: number,
  outer: number,
): Storage {
  const args = [
    ...parts.map(({ storage }, i) => array(`x${i}`, storage)),
    integer('w', width),
    ...integers(
      'w',
      parts.map((part) => part.width),
    ),
    ...integers(
      'e',
      parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part.width, 0)),
    ),
  ]
  return launch(device, 'concat', args, width * outer, () =>
    withIntegers(
      [
        ['o', `idiv(${I}, w)`],
        ['r', `${I} - o * w`],
      ],
      parts
        .map((_, i) => {
          const read = `return x${i}[o * w${i} + (r - e${i})];`
          return i === parts.length - 1 ? read : `if (r < e${i + 1}) { ${read} }`
        })
        .join('\n'),
    ),
  )
}

// ---- gathering

/** out[o, k, i] = x[o, indices[k], i], with x as [outer, axis, inner]. */
export function gather(device: Device, axis: number, x: Operand, indices: Operand, out: Aval): Storage {
  const args = [
    array('x', x.storage as Storage),
    array('at', indices.storage as Storage),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', sizeOf(indices.shape)),
    integer('side', x.shape[axis]!),
  ]
  return launch(device, 'gather', args, sizeOf(out.shape), () =>
    withIntegers(
      [
        ['row', `idiv(${I}, inner)`],
        ['o', 'idiv(row, count)'],
      ],
      `const v = at[row - o * count];
      ${withIntegers([['k', 'position(v, side)']], `return x[(o * side + k) * inner + (${I} - row * inner)];`)}`,
    ),
  )
}

/** The same along an axis that float32 cannot count: each index is two numbers. */
export function gatherFar(
  device: Device,
  axis: number,
  x: Operand,
  indices: ArrayLike<number>,
  out: Aval,
): Storage {
  const count = indices.length
  const parts = new Float32Array(2 * count)
  for (let k = 0; k < count; k++) {
    parts[k] = Math.floor(indices[k]! / 65536)
    parts[count + k] = indices[k]! % 65536
  }
  const steps = new Steps(device)
  const args = [
    array('x', x.storage as Storage),
    array('at', steps.keep(device.upload(parts))),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', count),
    integer('side', x.shape[axis]!),
  ]
  return steps.end(
    launch(device, 'gatherFar', args, sizeOf(out.shape), () =>
      withIntegers(
        [
          ['row', `idiv(${I}, inner)`],
          ['o', 'idiv(row, count)'],
        ],
        `const high = at[row - o * count];
        const low = at[row - o * count + count];
        ${withIntegers(
          [['k', 'position(high, 32768) * 65536 + position(low, 65536)']],
          `return x[(o * side + k) * inner + (${I} - row * inner)];`,
        )}`,
      ),
    ),
  )
}

/** out = x; out[o, indices[k], i] += updates[o, k, i]: each place looks through all indices. */
export function scatterAdd(
  device: Device,
  axis: number,
  x: Operand,
  indices: Operand,
  updates: Operand,
): Storage {
  const count = sizeOf(indices.shape)
  const args = [
    array('x', x.storage as Storage),
    array('at', indices.storage as Storage),
    array('u', updates.storage as Storage),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', count),
    integer('side', x.shape[axis]!),
  ]
  const long = isLong(count)
  return launch(device, `scatterAdd ${long}`, args, sizeOf(x.shape), () =>
    withIntegers(
      [
        ['row', `idiv(${I}, inner)`],
        ['o', 'idiv(row, side)'],
        ['v', 'row - o * side'],
        ['j', `${I} - row * inner`],
      ],
      `let sum = x[${I}];
      ${loop(
        'k',
        'count',
        long,
        `const value = at[k];
        if (position(value, side) === v) { sum += u[(o * count + k) * inner + j]; }`,
      )}
      return sum;`,
    ),
  )
}

/** The same for indices that the host knows: `order` holds the updates of each place together, from `starts` on. */
export function scatterAddSorted(
  device: Device,
  axis: number,
  x: Operand,
  indices: ArrayLike<number>,
  updates: Operand,
): Storage {
  const side = x.shape[axis]!
  const count = indices.length
  const starts = new Float32Array(side + 1)
  for (let k = 0; k < count; k++) starts[indices[k]! + 1]!++
  let most = 0
  for (let v = 0; v < side; v++) {
    most = Math.max(most, starts[v + 1]!)
    starts[v + 1]! += starts[v]!
  }
  const next = starts.slice()
  const order = new Float32Array(count)
  for (let k = 0; k < count; k++) order[next[indices[k]!]!++] = k
  const steps = new Steps(device)
  const args = [
    array('x', x.storage as Storage),
    array('u', updates.storage as Storage),
    array('starts', steps.keep(device.upload(starts))),
    array('order', steps.keep(device.upload(order))),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', count),
    integer('side', side),
  ]
  const long = isLong(most)
  return steps.end(
    launch(device, `scatterAddSorted ${long}`, args, sizeOf(x.shape), () =>
      withIntegers(
        [
          ['row', `idiv(${I}, inner)`],
          ['o', 'idiv(row, side)'],
        ],
        `let sum = x[${I}];
        const from = starts[row - o * side];
        const to = starts[row - o * side + 1];
        ${withIntegers(
          [
            ['begin', 'position(from, 2147483647)'],
            ['some', 'position(to, 2147483647) - begin'],
          ],
          '',
        )}
        ${loop(
          'k',
          'some',
          long,
          `const at = order[begin + k];
          sum += u[(o * count + position(at, count)) * inner + (${I} - row * inner)];`,
        )}
        return sum;`,
      ),
    ),
  )
}

// ---- reductions

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
    const steps = new Steps(device)
    const { parts, partial } = foldedParts(device, { x, outer, count: count / 4, inner: 4 }, folding, center)
    return steps.end(fold(device, { x: steps.keep(partial), outer, count: parts * 4, inner: 1 }, refold))
  }
  const { parts, partial } = foldedParts(device, { x, outer, count, inner }, folding, center)
  if (parts === 1) return partial
  const steps = new Steps(device)
  return steps.end(fold(device, { x: steps.keep(partial), outer, count: parts, inner }, refold))
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
  const steps = new Steps(device)
  const { rows, moved } = asRows(device, axes, x)
  if (moved !== undefined) steps.keep(moved)
  const size = sizeOf(out.shape)
  const folded = (folding: Folding, center?: Storage): Storage => fold(device, rows, folding, center)
  /** The folded values, changed by a formula of `v` (and of `c`, the second). */
  const finish = (key: string, values: Storage, formula: string, extra: readonly Argument[] = []): Storage =>
    launch(
      device,
      `finish ${key}`,
      [array('x', values), ...extra],
      size,
      () => `const v = x[${I}];\nreturn ${formula};`,
    )
  const simple = FOLDINGS[op]
  if (simple !== undefined) return steps.end(folded(simple))
  switch (op) {
    case 'mean':
      return steps.end(
        finish('mean', steps.keep(folded(SUM)), 'v / divisor', [number('divisor', rows.count)]),
      )
    case 'variance': {
      const mean = steps.keep(
        finish('mean', steps.keep(folded(SUM)), 'v / divisor', [number('divisor', rows.count)]),
      )
      const squares = steps.keep(folded(SQUARES, mean))
      const divisor = Math.max(rows.count - correction, 0)
      return steps.end(
        divisor === 0
          ? finish('variance of one', squares, 'v * inf', [number('inf', Infinity)])
          : finish('mean', squares, 'v / divisor', [number('divisor', divisor)]),
      )
    }
    case 'norm': {
      const largest = steps.keep(folded(LARGEST))
      const squares = steps.keep(folded(SCALED_SQUARES, largest))
      const formula = `(largest[${I}] > 0 && largest[${I}] < inf ? largest[${I}] * Math.sqrt(v) : largest[${I}])`
      return steps.end(finish('norm', squares, formula, [array('largest', largest), number('inf', Infinity)]))
    }
    case 'logSumExp': {
      const largest = steps.keep(folded(MAX))
      const powers = steps.keep(folded(POWERS, largest))
      const formula = `(fnReal(largest[${I}]) > 0 ? largest[${I}] + fnLog(v) : largest[${I}])`
      return steps.end(finish('logSumExp', powers, formula, [array('largest', largest)]))
    }
    default:
      throw new Error(`reduce: ${op} is not known`)
  }
}

/** exp(x - max) / sum(exp(x - max)) along `axis`, or its logarithm. */
export function softmax(device: Device, axis: number, log: boolean, { storage, shape }: Operand): Storage {
  const steps = new Steps(device)
  const x = storage as Storage
  const rows: Rows = {
    x,
    outer: sizeOf(shape.slice(0, axis)),
    count: shape[axis]!,
    inner: sizeOf(shape.slice(axis + 1)),
  }
  const largest = steps.keep(fold(device, rows, MAX))
  const sums = steps.keep(fold(device, rows, POWERS, largest))
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
  return steps.end(
    launchWide(device, `softmax ${log} ${inner === 1} ${isWide}`, args, sizeOf(shape), four, () => {
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
    }),
  )
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

// ---- cumulate

/** How many terms one run sums up at most; longer axes are cut into blocks of so many. */
const TERMS = 64

interface Line {
  readonly x: Storage
  readonly decay: Storage | undefined
  readonly outer: number
  readonly count: number
  readonly inner: number
}

/**
 * out[i] = decay[i] out[i - 1] + x[i] along the middle axis. Each block is summed from its own beginning, then gets
 * what the blocks before it come to, which is the same sum over the blocks.
 */
export function cumulate(device: Device, line: Line, reverse: boolean, initial: number): Storage {
  const steps = new Steps(device)
  const { x, decay, outer, count, inner } = line
  const length = outer * count * inner
  const given = [array('x', x), ...(decay === undefined ? [] : [array('d', decay)])]
  const sizes = [integer('count', count), integer('inner', inner)]
  const key = `${decay === undefined ? 'sum' : 'decay'} ${reverse}`
  const digits = [
    ['o', `idiv(${I}, count * inner)`],
    ['j', `imod(${I}, inner)`],
    ['p', along(`idiv(${I} - o * count * inner, inner)`, reverse)],
    ['b', `idiv(p, ${TERMS})`],
  ] as const
  const at = (p: string): string => `(o * count + ${along(p, reverse)}) * inner + j`
  const own = launch(
    device,
    `cumulate ${key}`,
    [...given, ...sizes, number('initial', initial)],
    length,
    () =>
      withIntegers(
        digits,
        `let sum = 0.0;
      if (b === 0) { sum = initial; }
      for (let k = 0; k < ${TERMS}; k++) {
        ${withIntegers(
          [['q', `b * ${TERMS} + k`]],
          `if (q <= p) { sum = ${decay === undefined ? '' : `d[${at('q')}] * `}sum + x[${at('q')}]; }`,
        )}
      }
      return sum;`,
      ),
  )
  if (count <= TERMS) return own
  steps.keep(own)
  const blocks = Math.ceil(count / TERMS)
  const ofBlocks = outer * blocks * inner
  const blockDigits = [
    ['o', `idiv(${I}, blocks * inner)`],
    ['j', `imod(${I}, inner)`],
    ['b', `idiv(${I} - o * blocks * inner, inner)`],
  ] as const
  const blocked = [...sizes, integer('blocks', blocks)]
  const lastOf = `lesser(b * ${TERMS} + ${TERMS - 1}, count - 1)`
  const ends = steps.keep(
    launch(device, `ends of blocks ${reverse}`, [array('y', own), ...blocked], ofBlocks, () =>
      withIntegers(blockDigits, `return y[${at(lastOf)}];`),
    ),
  )
  const decays =
    decay === undefined
      ? undefined
      : steps.keep(
          launch(device, `decays of blocks ${reverse}`, [array('d', decay), ...blocked], ofBlocks, () =>
            withIntegers(
              blockDigits,
              `let r = 1.0;
              for (let k = 0; k < ${TERMS}; k++) {
                ${withIntegers([['q', `b * ${TERMS} + k`]], `if (q < count) { r *= d[${at('q')}]; }`)}
              }
              return r;`,
            ),
          ),
        )
  const before = steps.keep(
    cumulate(device, { x: ends, decay: decays, outer, count: blocks, inner }, false, 0),
  )
  const args = [array('y', own), array('before', before), ...given.slice(1), ...blocked]
  return steps.end(
    launch(device, `carry ${key}`, args, length, () =>
      withIntegers(
        digits,
        `if (b === 0) { return y[${I}]; }
        let r = 1.0;
        ${
          decay === undefined
            ? ''
            : `for (let k = 0; k < ${TERMS}; k++) {
                ${withIntegers([['q', `b * ${TERMS} + k`]], `if (q <= p) { r *= d[${at('q')}]; }`)}
              }`
        }
        return y[${I}] + r * before[(o * blocks + b - 1) * inner + j];`,
      ),
    ),
  )
}

function along(p: string, reverse: boolean): string {
  return reverse ? `(count - 1 - ${p})` : p
}
