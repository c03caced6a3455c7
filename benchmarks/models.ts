// B1 to B4: the numbers that everybody is given, data and initial weights. Numbers depend on their names alone.
import type { Input, Inputs } from './protocol.js'

export type ModelName = 'b1' | 'b2' | 'b3' | 'b4'

/** What goes into a model and what is to come out, by the names of {@link MODELS}' inputs; the others are weights. */
export const COLUMNS: Readonly<
  Record<ModelName, { readonly x: readonly string[]; readonly y: readonly string[] }>
> = {
  b1: { x: ['x1', 'x2'], y: ['y'] },
  b2: { x: ['x', 'id'], y: ['y'] },
  b3: { x: ['x'], y: ['yA', 'yB', 'yC'] },
  b4: { x: ['x'], y: ['y'] },
}

/** The weights of each layer that has any, in the order in which models are written down. */
export const LAYERS: Readonly<Record<ModelName, readonly (readonly string[])[]>> = {
  b1: ['1', '2', '3'].map(named),
  b2: [named('1'), ['table'], named('2')],
  b3: ['1', '2', '3', 'A', 'B', 'C'].map(named),
  b4: ['1', '2', '3'].map(named),
}

function named(id: string): string[] {
  return [`w${id}`, `b${id}`]
}

export const MODELS: Readonly<Record<ModelName, (rows: number) => Inputs>> = {
  b1: (rows) => ({
    x1: uniform('x1', [rows, 10]),
    x2: uniform('x2', [rows, 5]),
    y: uniform('y', [rows, 1]),
    ...dense(1, 10, 64),
    ...dense(2, 5, 32),
    ...dense(3, 96, 1),
  }),
  b2: (rows) => ({
    x: uniform('x', [rows, 10]),
    id: numbers([rows, 1], (next) => Math.floor(next() * 100), 'id'),
    y: numbers([rows, 1], (next) => (next() < 0.5 ? 0 : 1), 'y'),
    ...dense(1, 10, 64),
    table: uniform('table', [100, 32], 0.05),
    ...dense(2, 96, 1),
  }),
  b3: (rows) => ({
    x: uniform('x', [rows, 20]),
    yA: uniform('yA', [rows, 1]),
    yB: numbers([rows, 1], (next) => (next() < 0.5 ? 0 : 1), 'yB'),
    yC: oneHot('yC', rows, 5),
    ...dense(1, 20, 128),
    ...dense(2, 128, 64),
    ...dense(3, 64, 32),
    ...dense('A', 64, 1),
    ...dense('B', 32, 1),
    ...dense('C', 96, 5),
  }),
  b4: (rows) => ({
    x: uniform('x', [rows, 784]),
    y: oneHot('y', rows, 10),
    ...dense(1, 784, 256),
    ...dense(2, 256, 128),
    ...dense(3, 128, 10),
  }),
}

/** Weights w [m, n] as Glorot and Bengio draw them, and a bias b [n] of zeros. */
function dense(id: number | string, m: number, n: number): Inputs {
  return {
    [`w${id}`]: uniform(`w${id}`, [m, n], Math.sqrt(6 / (m + n))),
    [`b${id}`]: numbers([n], () => 0, `b${id}`),
  }
}

export function uniform(name: string, shape: readonly number[], bound = 1): Input {
  return numbers(shape, (next) => (2 * next() - 1) * bound, name)
}

function oneHot(name: string, rows: number, classes: number): Input {
  const next = generator(name)
  const values = new Float32Array(rows * classes)
  for (let row = 0; row < rows; row++) values[row * classes + Math.floor(next() * classes)] = 1
  return { shape: [rows, classes], values }
}

export function numbers(
  shape: readonly number[],
  value: (next: () => number) => number,
  name: string,
): Input {
  const next = generator(name)
  const size = shape.reduce((n, side) => n * side, 1)
  return { shape, values: Float32Array.from({ length: size }, () => value(next)) }
}

/** Numbers in [0, 1) that depend on the name alone (mulberry32). */
function generator(name: string): () => number {
  let state = 0
  for (const character of name) state = (Math.imul(state, 31) + character.codePointAt(0)!) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
