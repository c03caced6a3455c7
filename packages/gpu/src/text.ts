import type { Source } from './device.js'

/** What every kernel is made with. */
export const SETTINGS = {
  precision: 'single',
  tactic: 'precision',
  pipeline: true,
  dynamicArguments: true,
  strictIntegers: true,
  fixIntegerDivisionAccuracy: false,
  loopMaxIterations: 65535,
} as const

/** The kernel as gpu.js reads it. */
export function textOf({ args, body }: Source): string {
  return `function (${args.map(([name]) => name).join(', ')}) {\n${body}\n}`
}

/** The position of the value that is computed. */
export const I = 'this.thread.x'

/**
 * `body` with whole numbers by name, each made of those before it. gpu.js keeps a variable as a float, which is exact to
 * 2^24 only, unless it is counted up somewhere: then it is a 32-bit integer. What it counted is overwritten.
 */
export function withIntegers(
  values: readonly (readonly [name: string, value: string])[],
  body: string,
): string {
  return [...values.map(([name, value]) => `let ${name} = 0;\n${name}++;\n${name} = ${value};`), body].join(
    '\n',
  )
}

/**
 * Runs `body` for `name` from 0 to below `count`. A loop whose end is an argument ends at 65535 at the latest, so a
 * long one is two, one in the other.
 */
export function loop(name: string, count: string, isLong: boolean, body: string): string {
  if (!isLong) return `for (let ${name} = 0; ${name} < ${count}; ${name}++) {\n${body}\n}`
  return (
    `for (let ${name}b = 0; ${name}b * ${BLOCK} < ${count}; ${name}b++) {\n` +
    `for (let ${name}i = 0; ${name}i < ${BLOCK}; ${name}i++) {\n` +
    withIntegers([[name, `${name}b * ${BLOCK} + ${name}i`]], `if (${name} < ${count}) {\n${body}\n}`) +
    '\n}\n}'
  )
}
const BLOCK = 4096

/** Up to here a loop is one. */
export const SHORT = 8000

/** Whether a loop of `count` must be written as two. */
export function isLong(count: number): boolean {
  return count > SHORT
}

/** WGSL with the names that gpu.js gives to functions. */
export function asWgsl(text: string): string {
  return text.replace(/\b(?=(?:fn[A-Z]\w*|toInt32|toUint8|position)\()/g, 'fn_')
}
