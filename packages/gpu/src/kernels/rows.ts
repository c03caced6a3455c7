import type { ReduceOp } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { GPU_JS, type Language, WGSL } from '../plan/language.js'
import { type FoldOp, FOLDS } from '../plan/folds.js'
import { asWgsl, I, isLong, loop, withIntegers } from '../text.js'
import { type Argument, array, integer, launchWide, number } from './launch.js'

/** Values put together along a row. Formulas are of a value `v` and of what earlier folds came to: c0, c1, …. */
interface Fold {
  readonly op: FoldOp
  readonly term?: string
  /** What becomes of it. */
  readonly result?: string
}

/** What is computed of each row: folds, one after the other, and a value of the row or one for each of its elements. */
interface RowFormula {
  readonly folds: readonly Fold[]
  readonly row?: (language: Language) => string
  readonly element?: string
  /** Whether `v` is the last fold's term there. */
  readonly isOfTerm?: boolean
}

/** Rows of neighbours. */
export interface Lines {
  readonly x: Storage
  readonly outer: number
  readonly count: number
}

const SUM: Fold = { op: 'sum' }
const MAX: Fold = { op: 'max' }
/** Powers of what is left of the largest, which comes first: none is infinite. */
const POWERS: Fold = { op: 'sum', term: 'fnExp(v - c0)' }

/** The formula of a reduction; `total` and `divisor` are arguments. */
export function reductionOf(op: ReduceOp, divisor: number): RowFormula {
  switch (op) {
    case 'mean':
      return { folds: [{ ...SUM, result: 'c0 / total' }], row: () => 'c0' }
    case 'variance':
      return {
        folds: [
          { ...SUM, result: 'c0 / total' },
          { ...SUM, term: '(v - c0) * (v - c0)' },
        ],
        row: ({ inf }) => (divisor === 0 ? `c1 * ${inf}` : 'c1 / divisor'),
      }
    case 'norm':
      return {
        folds: [
          { ...MAX, term: 'fnAbs(v)' },
          { ...SUM, term: '(v / c0) * (v / c0)' },
        ],
        row: ({ choose, inf }) => choose(`c0 > 0 && c0 < ${inf}`, 'c0 * fnSqrt(c1)', 'c0'),
      }
    case 'logSumExp':
      return {
        folds: [MAX, POWERS],
        row: ({ choose }) => choose('fnReal(c0) > 0', 'c0 + fnLog(c1)', 'c0'),
      }
    default:
      return { folds: [{ op }], row: () => 'c0' }
  }
}

export const SOFTMAX: RowFormula = { folds: [MAX, POWERS], element: 'v / c1', isOfTerm: true }
export const LOG_SOFTMAX: RowFormula = {
  folds: [MAX, { ...POWERS, result: 'fnLog(c1)' }],
  element: 'v - c0 - c1',
}

/** Threads of a group. */
const GROUP = 64
/** Terms are folded in parts of so many and these again, so that rounding grows slowly. */
const PART = 64
/** Rows up to which one thread computes a row: what threads tell each other takes longer than such rows. */
const SHORT_ROW = 32
/** Rows that are so few and longer than that are cut into parts for all threads of the device. */
const FEW_ROWS = 16
const LONG_ROW = 2 ** 14
const LONG_ROW_OF_SOFTWARE = 256

/**
 * Rows in one dispatch, a group of threads for each; undefined where WGSL is not taken or the rows are better cut into
 * parts. Adapters that compute on the CPU have one thread for each, because there threads wait long for each other.
 */
export function byRows(
  device: Device,
  key: string,
  formula: RowFormula,
  { x, outer, count }: Lines,
  divisor = 1,
): Storage | undefined {
  if (device.takesWgsl !== true) return undefined
  const { isSoftware } = device.info
  if (outer < FEW_ROWS && count > (isSoftware ? LONG_ROW_OF_SOFTWARE : LONG_ROW)) return undefined
  const lanes = isSoftware || count <= SHORT_ROW ? 1 : GROUP
  const isWide = count % 4 === 0
  const name = `rows ${key} ${lanes} ${isWide} ${isLong(count)} ${divisor === 0}`
  const { body, uses } = bodyNamed(name, () => bodyOf(formula, isLong(count)))
  const args: Argument[] = [array('x', x), integer('outer', outer), integer('count', count)]
  if (uses.total) args.push(number('total', count))
  if (uses.divisor) args.push(number('divisor', divisor))
  if (uses.inf) args.push(number('inf', Infinity))
  const isOfRow = formula.row !== undefined
  return launchWide(device, name, args, isOfRow ? outer : outer * count, 1, () => body, {
    threads: lanes === 1 ? outer : outer * GROUP,
    wgsl: () => wgslOf(formula, lanes, isWide),
    readsFours: isWide ? ['x'] : [],
    writesFours: isWide && !isOfRow,
  })
}

interface Body {
  readonly body: string
  /** Which numbers are among its arguments. */
  readonly uses: { readonly total: boolean; readonly divisor: boolean; readonly inf: boolean }
}

/** The body of a kernel, written once. */
function bodyNamed(name: string, write: () => string): Body {
  let known = BODIES.get(name)
  if (known === undefined) {
    const body = write()
    const has = (word: string): boolean => new RegExp(`\\b${word}\\b`).test(body)
    known = { body, uses: { total: has('total'), divisor: has('divisor'), inf: has('inf') } }
    BODIES.set(name, known)
  }
  return known
}
const BODIES = new Map<string, Body>()

/** What gpu.js reads: each value of the output by itself. */
function bodyOf({ folds, row, element, isOfTerm }: RowFormula, long: boolean): string {
  const own = folds.flatMap(({ op, term = 'v', result }, i) => {
    const { first, next } = FOLDS[op]
    return [
      `let c${i} = 0.0;`,
      `c${i} = ${first(GPU_JS)};`,
      loop(
        `k${i}`,
        'count',
        long,
        `const v = x[at + k${i}];\nconst t = ${term};\nc${i} = ${next(`c${i}`, 't', GPU_JS)};`,
      ),
      ...(result === undefined ? [] : [`c${i} = ${result};`]),
    ]
  })
  const rowAt = row === undefined ? `idiv(${I}, count)` : I
  const returned =
    row?.(GPU_JS) ?? (isOfTerm === true ? element!.replace(/\bv\b/, `(${folds.at(-1)!.term})`) : element!)
  return withIntegers(
    [
      ['row', rowAt],
      ['at', 'row * count'],
    ],
    [...own, ...(row === undefined ? [`const v = x[${I}];`] : []), `return ${returned};`].join('\n'),
  )
}

/** Each row by `lanes` threads, four values at a time where rows are of whole fours. */
function wgslOf({ folds, row, element, isOfTerm }: RowFormula, lanes: number, isWide: boolean): string {
  const parts = isWide ? [0, 1, 2, 3] : [0]
  const type = isWide ? 'vec4<f32>' : 'f32'
  const at = (name: string, i: number): string => (isWide ? `${name}[${i}]` : name)
  const each = (write: (i: number) => string): string => `${type}(${parts.map(write).join(', ')})`
  const of = (text: string, v: string): string => text.replace(/\bv\b/g, v)
  const own = folds.map(({ op, term = 'v', result }, i) => {
    const { first, next } = FOLDS[op]
    const onto = (acc: string, v: string): string =>
      `${acc} = ${each((part) => next(at(acc, part), at(v, part), WGSL))};`
    const keeps = isOfTerm === true && i === folds.length - 1
    const mine = parts
      .slice(1)
      .reduce((acc, part) => next(`(${acc})`, at(`s${i}`, part), WGSL), at(`s${i}`, 0))
    return `var s${i} = ${each(() => first(WGSL))};
  for (var b = mine; b < n; b += ${(lanes * PART) / parts.length}) {
    var some = ${each(() => first(WGSL))};
    let end = min(b + ${(lanes * PART) / parts.length}, n);
    for (var k = b; k < end; k += ${lanes}) {
      let v = user_x[at + k];
      let t = ${each((part) => of(term, at('v', part)))};
      ${keeps ? 'result[at + k] = t;' : ''}
      ${onto('some', 't')}
    }
    ${onto(`s${i}`, 'some')}
  }
  var c${i} = ${mine};
  ${lanes === 1 ? '' : `c${i} = together_${op}(c${i}, mine);`}
  ${result === undefined ? '' : `c${i} = ${result};`}`
  })
  const together = [...new Set(folds.map(({ op }) => op))].map(
    (op) => `fn together_${op}(own : f32, mine : i32) -> f32 {
  told[mine] = own;
  workgroupBarrier();
  for (var half = ${lanes / 2}; half > 0; half >>= 1u) {
    if (mine < half) { told[mine] = ${FOLDS[op].next('told[mine]', 'told[mine + half]', WGSL)}; }
    workgroupBarrier();
  }
  let all = told[0];
  workgroupBarrier();
  return all;
}`,
  )
  const written =
    row === undefined
      ? `for (var k = mine; k < n; k += ${lanes}) {
    let v = ${isOfTerm === true ? 'result' : 'user_x'}[at + k];
    result[at + k] = ${each((part) => of(element!, at('v', part)))};
  }`
      : `${lanes === 1 ? '' : 'if (mine == 0) '}{ result[row] = ${row(WGSL)}; }`
  const text = `${lanes === 1 ? '' : `var<workgroup> told : array<f32, ${lanes}>;\n${together.join('\n')}\n`}
@compute @workgroup_size(${GROUP}, 1, 1)
fn main(@builtin(workgroup_id) group : vec3<u32>, @builtin(num_workgroups) groups : vec3<u32>,
  @builtin(local_invocation_index) thread : u32) {
  let which = i32(group.x + group.y * groups.x);
  let row = ${lanes === 1 ? `which * ${GROUP} + i32(thread)` : 'which'};
  if (row >= params.user_outer) { return; }
  let mine = ${lanes === 1 ? '0' : 'i32(thread)'};
  let n = params.user_count${isWide ? ' / 4' : ''};
  let at = row * n;
  ${own.join('\n  ')}
  ${written}
}`
  return asWgsl(text.replace(/\b(?:total|divisor)\b/g, 'params.user_$&'))
}
