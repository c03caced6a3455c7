import type { Aval } from '../aval.js'
import type { Stored } from '../backend.js'
import type { NumericArray } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import type { Expr } from '../expr/tree.js'
import { type Sizes, sizeOf } from '../shape.js'
import { type Loop1, type Loop2, LOOPS_1, LOOPS_2, MUL_INT, type Numbers } from './functions.js'

// A formula becomes a list of steps, each one loop over a block of elements. Blocks fit the first-level cache, so
// passing them from step to step costs little, and a formula of one step runs straight from input to output.
// Steps compute in float64; the result is rounded once.

const BLOCK = 512

/** One loop. `x`, `y`, `z` and `to` are registers; the last step writes the output instead. */
type Step =
  | { readonly kind: 1; readonly to: number; readonly loop: Loop1; readonly x: number }
  | {
      readonly kind: 2
      readonly to: number
      readonly loop: Loop2
      readonly intLoop: Loop2
      readonly x: number
      readonly y: number
    }
  | { readonly kind: 3; readonly to: number; readonly x: number; readonly y: number; readonly z: number }
  /** x < y ? z : w in one pass: what masks and gates come to. */
  | {
      readonly kind: 4
      readonly to: number
      readonly x: number
      readonly y: number
      readonly z: number
      readonly w: number
    }

/**
 * A compiled formula and its registers: first the arguments, then parameters, constants and results of steps.
 * Registers are the program's own and used again by every run; a run leaves no array of anyone else's in them.
 */
interface Program {
  readonly steps: readonly Step[]
  readonly args: number
  readonly values: Numbers[]
  /** Where the row at hand begins in each register. */
  readonly starts: number[]
  /** From one element to the next. */
  readonly strides: number[]
  /** How far a register moves on from element to element across blocks: results of steps start over. */
  readonly advances: number[]
}

const programs = new WeakMap<ScalarFunction, Program>()

function programOf(fn: ScalarFunction): Program {
  let program = programs.get(fn)
  if (program === undefined) {
    program = compile(fn)
    programs.set(fn, program)
  }
  return program
}

const NOTHING = new Float64Array(1)

function compile(fn: ScalarFunction): Program {
  const args = fn.args.length
  const values: Numbers[] = [...fn.args.map(() => NOTHING), ...fn.params.map(() => new Float64Array(1))]
  const strides: number[] = values.map(() => 0)
  const steps: Step[] = []
  const register = (array: Float64Array, stride: number): number => {
    strides.push(stride)
    return values.push(array) - 1
  }
  const temp = (): number => register(new Float64Array(BLOCK), 1)
  const emit = (e: Expr): number => {
    switch (e.kind) {
      case 'arg':
        return e.index
      case 'param':
        return args + e.index
      case 'const':
        return register(Float64Array.of(e.value), 0)
      case 'call1': {
        const x = emit(e.x)
        steps.push({ kind: 1, to: temp(), loop: LOOPS_1[e.fn], x })
        break
      }
      case 'call2': {
        const x = emit(e.x)
        const y = emit(e.y)
        const loop = LOOPS_2[e.fn]
        steps.push({ kind: 2, to: temp(), loop, intLoop: e.fn === 'mul' ? MUL_INT : loop, x, y })
        break
      }
      case 'select': {
        if (e.test.kind === 'call2' && e.test.fn === 'less') {
          const x = emit(e.test.x)
          const y = emit(e.test.y)
          const z = emit(e.a)
          const w = emit(e.b)
          steps.push({ kind: 4, to: temp(), x, y, z, w })
          break
        }
        const x = emit(e.test)
        const y = emit(e.a)
        const z = emit(e.b)
        steps.push({ kind: 3, to: temp(), x, y, z })
        break
      }
    }
    return steps.at(-1)!.to
  }
  const result = emit(fn.body)
  if (steps.length === 0) steps.push({ kind: 1, to: temp(), loop: copy, x: result })
  return {
    steps,
    args,
    values,
    strides,
    starts: values.map(() => 0),
    advances: values.map(() => 0),
  }
}

const copy: Loop1 = (o, oo, a, ao, as, n) => {
  for (let i = 0; i < n; i++, ao += as) o[oo + i] = a[ao]!
}

/** out[i] = fn(inputs[i]…) with inputs broadcast to `out.shape`. */
export function map(
  fn: ScalarFunction,
  params: readonly number[],
  inputs: readonly Stored[],
  out: Aval,
  result: NumericArray,
): void {
  const program = programOf(fn)
  const { args, values, starts } = program
  for (let i = 0; i < args; i++) {
    values[i] = inputs[i]!.handle as NumericArray
    starts[i] = 0
  }
  for (let i = 0; i < params.length; i++) values[args + i]![0] = params[i]!
  const isInt = out.dtype === 'int32'
  if (walksEvenly(program, inputs, out.shape)) row(program, result, 0, result.length, isInt)
  else rows(program, loopsOver(inputs, out.shape), result, isInt)
  for (let i = 0; i < args; i++) values[i] = NOTHING
}

/** Sets the steps of inputs that have the output's shape or are scalars; false where one is otherwise broadcast. */
function walksEvenly({ args, strides, advances }: Program, inputs: readonly Stored[], shape: Sizes): boolean {
  const size = sizeOf(shape)
  for (let i = 0; i < args; i++) {
    const own = inputs[i]!.shape === shape ? size : sizeOf(inputs[i]!.shape)
    if (own !== size && own !== 1) return false
    advances[i] = strides[i] = own === size ? 1 : 0
  }
  return true
}

/** How inputs are walked: rows of `inner` elements, each input by its step; `outer` counts the rows axis by axis. */
export interface Loops {
  readonly outer: readonly number[]
  /** strides[axis][input] */
  readonly strides: readonly (readonly number[])[]
  readonly inner: number
  readonly steps: readonly number[]
}

/**
 * Strides of each input along the output's axes (0 where it is broadcast), then neighbours merged where one stride
 * continues the other for every input.
 */
export function loopsOver(inputs: readonly { readonly shape: Sizes }[], shape: Sizes): Loops {
  const sides: number[] = []
  const strides: number[][] = []
  const current = inputs.map(() => 1)
  for (let fromEnd = 1; fromEnd <= shape.length; fromEnd++) {
    const side = shape[shape.length - fromEnd]!
    const here = inputs.map((x, i) => {
      const own = fromEnd <= x.shape.length ? x.shape[x.shape.length - fromEnd]! : 1
      const stride = own === 1 ? 0 : current[i]!
      current[i]! *= own
      return stride
    })
    if (side === 1) continue
    const last = sides.length - 1
    if (last >= 0 && here.every((stride, i) => stride === strides[last]![i]! * sides[last]!))
      sides[last]! *= side
    else {
      sides.push(side)
      strides.push(here)
    }
  }
  return {
    outer: sides.slice(1).reverse(),
    strides: strides.slice(1).reverse(),
    inner: sides[0] ?? 1,
    steps: strides[0] ?? current.map(() => 0),
  }
}

function rows(program: Program, { outer, strides, inner, steps }: Loops, out: Numbers, isInt: boolean): void {
  const { args, starts } = program
  for (let i = 0; i < args; i++) program.advances[i] = program.strides[i] = steps[i]!
  const index = outer.map(() => 0)
  for (let at = 0; ; at += inner) {
    row(program, out, at, inner, isInt)
    let axis = outer.length - 1
    for (; axis >= 0; axis--) {
      const along = strides[axis]!
      for (let i = 0; i < args; i++) starts[i]! += along[i]!
      if (++index[axis]! < outer[axis]!) break
      for (let i = 0; i < args; i++) starts[i]! -= along[i]! * outer[axis]!
      index[axis] = 0
    }
    if (axis < 0) return
  }
}

/** Computes out[at … at + n) from the inputs' rows that begin at `starts`. */
function row(program: Program, out: Numbers, at: number, n: number, isInt: boolean): void {
  const { steps, values } = program
  const last = steps.length - 1
  const block = last === 0 ? n : BLOCK
  for (let done = 0; done < n; done += block) {
    const count = Math.min(block, n - done)
    for (let s = 0; s < last; s++) runStep(program, steps[s]!, values[steps[s]!.to]!, 0, done, count, isInt)
    runStep(program, steps[last]!, out, at + done, done, count, isInt)
  }
}

function runStep(
  { values, starts, strides, advances }: Program,
  step: Step,
  o: Numbers,
  oo: number,
  done: number,
  n: number,
  isInt: boolean,
): void {
  const { x } = step
  const a = values[x]!
  const ao = starts[x]! + done * advances[x]!
  const as = strides[x]!
  if (step.kind === 1) {
    step.loop(o, oo, a, ao, as, n)
    return
  }
  const { y } = step
  const b = values[y]!
  const bo = starts[y]! + done * advances[y]!
  const bs = strides[y]!
  if (step.kind === 2) {
    const loop = isInt ? step.intLoop : step.loop
    loop(o, oo, a, ao, as, b, bo, bs, n)
    return
  }
  const { z } = step
  const c = values[z]!
  const co = starts[z]! + done * advances[z]!
  const cs = strides[z]!
  if (step.kind === 3) {
    select(o, oo, a, ao, as, b, bo, bs, c, co, cs, n)
    return
  }
  const { w } = step
  const d = values[w]!
  let at = starts[w]! + done * advances[w]!
  const ds = strides[w]!
  for (let i = 0, p = ao, q = bo, r = co; i < n; i++, p += as, q += bs, r += cs, at += ds)
    o[oo + i] = a[p]! < b[q]! ? c[r]! : d[at]!
}

/** o = t is not 0 ? a : b */
function select(
  o: Numbers,
  oo: number,
  t: Numbers,
  to: number,
  ts: number,
  a: Numbers,
  ao: number,
  as: number,
  b: Numbers,
  bo: number,
  bs: number,
  n: number,
): void {
  for (let i = 0; i < n; i++, to += ts, ao += as, bo += bs) o[oo + i] = t[to] !== 0 ? a[ao]! : b[bo]!
}
