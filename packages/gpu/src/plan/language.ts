import { SCRIPT, type Words } from '../formula.js'

/** How statements are said. Whole numbers are 32-bit integers, all else is float32. */
export interface Language extends Words {
  readonly integer: (name: string, text: string) => readonly string[]
  readonly number: (name: string, text: string) => readonly string[]
  /** A number that later statements change. */
  readonly variable: (name: string, first: string) => readonly string[]
  readonly loop: (name: string, count: number) => string
  /** What begins a branch for which several tests hold, each line of it one that is closed. */
  readonly branch: (tests: readonly string[]) => readonly string[]
  /** The quotient of two whole numbers, and a whole number as a number. */
  readonly quotient: (a: string, b: number) => string
  readonly float: (integer: string) => string
  readonly read: (array: string, at: string) => string
  readonly abs: string
  readonly sqrt: string
  readonly inf: string
  /** A 0 that drivers do not know. */
  readonly zero: string
}

/** gpu.js keeps a variable that is counted up as a 32-bit integer, and others as floats. */
export const GPU_JS: Language = {
  ...SCRIPT,
  integer: (name, text) => [`let ${name} = 0;`, `${name}++;`, `${name} = ${text};`],
  number: (name, text) => [`let ${name} = 0.0;`, `${name} = ${text};`],
  variable: (name, first) => [`let ${name} = 0.0;`, `${name} = ${first};`],
  loop: (name, count) => `for (let ${name} = 0; ${name} < ${count}; ${name}++) {`,
  branch: (tests) => tests.map((test) => `if (${test}) {`),
  quotient: (a, b) => `idiv(${a}, ${b})`,
  float: (integer) => integer,
  read: (array, at) => `${array}[${at}]`,
  abs: 'Math.abs',
  sqrt: 'Math.sqrt',
  inf: 'inf',
  zero: 'Math.min(inf, 0)',
}

/** As in a shader that gpu.js has begun: its arrays, arguments and functions go by its names. */
export const WGSL: Language = {
  literal(value) {
    if (Number.isNaN(value)) return 'params.user_nan'
    if (!Number.isFinite(Math.fround(value))) return value > 0 ? 'params.user_inf' : '(-params.user_inf)'
    const text = String(value)
    return `${value < 0 ? '(' : ''}${/[.e]/.test(text) ? text : `${text}.0`}f${value < 0 ? ')' : ''}`
  },
  choose: (test, a, b) => `select(${b}, ${a}, ${test})`,
  equal: '==',
  // Not && and ||, which are branches: drivers that follow all ways through a loop take twice as long for each.
  both: (a, b) => `((${a}) & (${b}))`,
  either: (a, b) => `((${a}) | (${b}))`,
  // Drivers may take it that there are neither NaN nor infinities.
  isNaN: (x) => `((bitcast<u32>(${x}) & 0x7fffffffu) > 0x7f800000u)`,
  isFinite: (x) => `((bitcast<u32>(${x}) & 0x7f800000u) != 0x7f800000u)`,
  integer: (name, text) => [`let ${name} : i32 = ${text};`],
  number: (name, text) => [`let ${name} : f32 = ${text};`],
  variable: (name, first) => [`var ${name} : f32 = ${first};`],
  loop: (name, count) => `for (var ${name} = 0; ${name} < ${count}; ${name}++) {`,
  branch: (tests) => [`if (${tests.map((test) => `(${test})`).join(' & ')}) {`],
  quotient: (a, b) => `(${a} / ${b})`,
  float: (integer) => `f32(${integer})`,
  read: (array, at) => `user_${array}[${at}]`,
  abs: 'abs',
  sqrt: 'sqrt',
  inf: 'params.user_inf',
  zero: 'min(params.user_inf, 0.0f)',
}
