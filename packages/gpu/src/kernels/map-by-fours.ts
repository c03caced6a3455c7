import type { ScalarFunction } from '@adjoint/core/extend'
import { sourceOf, storedAs } from '../formula.js'
import { WGSL } from '../plan/language.js'
import { asWgsl } from '../text.js'
import { digitsOf, offsetOf } from '../walk.js'

/**
 * How an input is read: `n` a number, `1` the only value of an array, `i` at the output's position. Others are walked
 * along the output's sides: where the innermost is a multiple of four, `r` for four neighbours in a row and `c` for one
 * value for all four; where it is not, `s` for four values one by one.
 */
export type Mode = 'n' | '1' | 'i' | 'r' | 'c' | 's'

/** Threads of a group. */
const GROUP = 64

/** How many fours one thread computes: several of what takes little more than reading and writing, where there is room. */
export function foursOf(formula: string, modes: readonly Mode[], size: number, room: number): number {
  const isLong = /\bfn(?!Exp\b|Abs\b|Sqrt\b|Floor\b|Ceil\b)[A-Z]/.test(formula) || modes.includes('s')
  return !isLong && threadsFor(size, 4) * 16 <= room ? 4 : 1
}

/** How many threads compute `size` values, each so many fours, in whole groups. */
export function threadsFor(size: number, fours: number): number {
  return Math.ceil(size / (GROUP * fours * 4)) * GROUP
}

/** More groups than these stand in rows, of which the last may go on beyond what is needed. */
const MOST_GROUPS = 65_535

/**
 * An elementwise kernel in WGSL that reads and writes four neighbours at once. Groups are whole: the last one goes beyond
 * the last value, where the output must have room, because software pays for each test as for a read.
 * @param rank how many sides inputs are walked along.
 */
export function mapByFours(
  { body }: ScalarFunction,
  modes: readonly Mode[],
  rank: number,
  dtype: string,
  fours: number,
  isOver: boolean,
): string {
  const stored = storedAs(sourceOf(body, WGSL), dtype)
  const component = (lane: number): string =>
    stored.replace(/\b([ap])(\d+)\b/g, (_, of: string, at: string) => {
      const mode = modes[Number(at)]
      if (of === 'p' || mode === 'n') return `params.user_${of}${at}`
      if (mode === '1' || mode === 'c') return `v${at}`
      return mode === 's' ? `v${at}x${lane}` : `v${at}[${lane}]`
    })
  const each = (mode: Mode, write: (i: number) => string): string[] =>
    modes.flatMap((own, i) => (own === mode ? [write(i)] : []))
  const walked = modes.flatMap((mode, i) => ('rcs'.includes(mode) ? [i] : []))
  const sides = walked.length === 0 ? [] : Array.from({ length: rank }, (_, side) => `n${side}`)
  const uniforms = [...sides, ...walked.flatMap((i) => sides.map((_, side) => `s${i}at${side}`))]
  /** What is read at `position`, all names of its own with `suffix`. */
  const walk = (position: string, suffix: string, read: (i: number, offset: string) => string): string[] => {
    const { digits, quotients } = digitsOf(rank, position)
    const own = (text: string): string => text.replace(/\bq\d+\b/g, `$&${suffix}`)
    return [
      ...quotients.map(([name, value]) => `let ${own(name)} = ${own(value).replace(IDIV, '($1 / $2)')};`),
      ...walked.map((i) => read(i, own(offsetOf(digits, `s${i}at`)))),
    ]
  }
  const four = (k: number): string[] => [
    `{ let t = first + ${k * GROUP}u;`,
    ...each('i', (i) => `let v${i} = user_x${i}[t];`),
    ...(walked.length === 0
      ? []
      : modes.includes('s')
        ? [0, 1, 2, 3].flatMap((lane) => [
            `let e${lane} = 4u * t + ${lane}u;`,
            ...walk(`e${lane}`, `x${lane}`, (i, offset) => `let v${i}x${lane} = user_x${i}[${offset}];`),
          ])
        : [
            'let e = 4u * t;',
            ...walk('e', '', (i, offset) =>
              modes[i] === 'r'
                ? `let v${i} = user_x${i}[(${offset}) >> 2u];`
                : `let v${i} = user_x${i}[${offset}];`,
            ),
          ]),
    `result[t] = vec4<f32>(${[0, 1, 2, 3].map(component).join(', ')}); }`,
  ]
  return asWgsl(
    [
      `@compute @workgroup_size(${GROUP}, 1, 1)`,
      'fn main(@builtin(global_invocation_id) gid : vec3<u32>) {',
      'let thread = gid.x + gid.y * params.dispatchWidth;',
      ...(isOver ? ['if (thread >= params.outputX) { return; }'] : []),
      `let first = (thread & ~${GROUP - 1}u) * ${fours}u + (thread & ${GROUP - 1}u);`,
      ...uniforms.map((name) => `let ${name} = u32(params.user_${name});`),
      ...each('1', (i) => `let v${i} = user_x${i}[0];`),
      ...Array.from({ length: fours }, (_, k) => four(k)).flat(),
      '}',
    ].join('\n'),
  )
}

/** Whether so many threads are more than stand in one row of groups. */
export function isOverMost(threads: number): boolean {
  return threads > MOST_GROUPS * GROUP
}
const IDIV = /\bidiv\((\w+), (\w+)\)/g
