import type { Aval, Stored } from '../backend.js'
import type { NumericArray } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import type { Expr } from '../expr/tree.js'
import { sizeOf } from '../shape.js'
import { type Loop1, type Loop2, LOOPS_1, LOOPS_2, MUL_INT, type Numbers } from './functions.js'

// A formula becomes a list of steps, each one loop over a block of elements. Blocks fit the first-level cache, so
// passing them from step to step costs little, and a formula of one step runs straight from input to output.
// Steps compute in float64; the result is rounded once.

const BLOCK = 512

/** Where a step reads: an argument, a scalar (parameter or constant), or the result of an earlier step. */
type Source =
  | { readonly kind: 'arg'; readonly index: number }
  | { readonly kind: 'param'; readonly index: number }
  | { readonly kind: 'const'; readonly values: Float64Array }
  | { readonly kind: 'temp'; readonly index: number }

type Step =
  | { readonly kind: 1; readonly loop: Loop1; readonly x: Source }
  | {
      readonly kind: 2
      readonly loop: Loop2
      readonly intLoop: Loop2
      readonly x: Source
      readonly y: Source
    }
  | { readonly kind: 3; readonly test: Source; readonly a: Source; readonly b: Source }

const programs = new WeakMap<ScalarFunction, readonly Step[]>()

function programOf(fn: ScalarFunction): readonly Step[] {
  let program = programs.get(fn)
  if (program === undefined) {
    program = compile(fn.body)
    programs.set(fn, program)
  }
  return program
}

/** Steps in order of computation; step i writes temp i, the last one the output. */
function compile(body: Expr): readonly Step[] {
  const steps: Step[] = []
  const emit = (e: Expr): Source => {
    switch (e.kind) {
      case 'arg':
      case 'param':
        return e
      case 'const':
        return { kind: 'const', values: Float64Array.of(e.value) }
      case 'call1':
        steps.push({ kind: 1, loop: LOOPS_1[e.fn], x: emit(e.x) })
        break
      case 'call2': {
        const loop = LOOPS_2[e.fn]
        steps.push({ kind: 2, loop, intLoop: e.fn === 'mul' ? MUL_INT : loop, x: emit(e.x), y: emit(e.y) })
        break
      }
      case 'select':
        steps.push({ kind: 3, test: emit(e.test), a: emit(e.a), b: emit(e.b) })
        break
    }
    return { kind: 'temp', index: steps.length - 1 }
  }
  const last = emit(body)
  if (last.kind !== 'temp') steps.push({ kind: 1, loop: copyLoop, x: last })
  return steps
}

const copyLoop: Loop1 = (o, oo, a, ao, as, n) => {
  for (let i = 0; i < n; i++, ao += as) o[oo + i] = a[ao]!
}

const temps: Float64Array[] = []

/** out[i] = fn(inputs[i]…) with inputs broadcast to `out.shape`. */
export function map(
  fn: ScalarFunction,
  params: readonly number[],
  inputs: readonly Stored[],
  out: Aval,
  result: NumericArray,
): void {
  const program = programOf(fn)
  while (temps.length < program.length) temps.push(new Float64Array(BLOCK))
  const scalars = params.length === 0 ? NO_SCALARS : params.map((p) => Float64Array.of(p))
  const run = new Run(program, scalars, inputs, out.dtype === 'int32', result)
  const loops = loopsOver(inputs, out)
  if (loops.outer.length === 0) run.row(0, loops.starts, loops.inner, loops.steps)
  else run.rows(loops)
}
const NO_SCALARS: readonly Float64Array[] = []

/** How inputs are walked: rows of `inner` elements, each input by its step; `outer` counts the rows axis by axis. */
interface Loops {
  readonly outer: readonly number[]
  /** strides[axis][input] */
  readonly strides: readonly (readonly number[])[]
  readonly inner: number
  readonly steps: readonly number[]
  readonly starts: number[]
}

function loopsOver(inputs: readonly Stored[], out: Aval): Loops {
  const starts = inputs.map(() => 0)
  const size = sizeOf(out.shape)
  if (inputs.every((x) => x.shape === out.shape || sizeOf(x.shape) === size || sizeOf(x.shape) === 1))
    return {
      outer: [],
      strides: [],
      inner: size,
      steps: inputs.map((x) => (sizeOf(x.shape) === 1 && size !== 1 ? 0 : 1)),
      starts,
    }

  // Strides of each input along the output's axes (0 where it is broadcast), then neighbours merged where one
  // stride continues the other for every input.
  const sides: number[] = []
  const strides: number[][] = []
  const current = inputs.map(() => 1)
  for (let fromEnd = 1; fromEnd <= out.shape.length; fromEnd++) {
    const side = out.shape[out.shape.length - fromEnd]!
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
    steps: strides[0] ?? starts,
    starts,
  }
}

class Run {
  constructor(
    readonly program: readonly Step[],
    readonly scalars: readonly Float64Array[],
    readonly inputs: readonly Stored[],
    readonly isInt: boolean,
    readonly out: Numbers,
  ) {}

  rows({ outer, strides, inner, steps, starts }: Loops): void {
    const index = outer.map(() => 0)
    for (let at = 0; ; at += inner) {
      this.row(at, starts, inner, steps)
      let axis = outer.length - 1
      for (; axis >= 0; axis--) {
        const along = strides[axis]!
        for (let i = 0; i < starts.length; i++) starts[i]! += along[i]!
        if (++index[axis]! < outer[axis]!) break
        for (let i = 0; i < starts.length; i++) starts[i]! -= along[i]! * outer[axis]!
        index[axis] = 0
      }
      if (axis < 0) return
    }
  }

  /** Computes out[at … at + n) from inputs that start at `starts` and advance by `steps`. */
  row(at: number, starts: readonly number[], n: number, steps: readonly number[]): void {
    const { program } = this
    const block = program.length === 1 ? n : BLOCK
    for (let done = 0; done < n; done += block) {
      const count = Math.min(block, n - done)
      for (let s = 0; s < program.length; s++) {
        const isLast = s === program.length - 1
        this.step(
          program[s]!,
          isLast ? this.out : temps[s]!,
          isLast ? at + done : 0,
          starts,
          steps,
          done,
          count,
        )
      }
    }
  }

  step(
    step: Step,
    o: Numbers,
    oo: number,
    starts: readonly number[],
    steps: readonly number[],
    done: number,
    n: number,
  ): void {
    const values = (s: Source): Numbers =>
      s.kind === 'arg'
        ? (this.inputs[s.index]!.handle as NumericArray)
        : s.kind === 'temp'
          ? temps[s.index]!
          : s.kind === 'param'
            ? this.scalars[s.index]!
            : s.values
    const start = (s: Source): number => (s.kind === 'arg' ? starts[s.index]! + done * steps[s.index]! : 0)
    const stride = (s: Source): number => (s.kind === 'arg' ? steps[s.index]! : s.kind === 'temp' ? 1 : 0)
    if (step.kind === 1) step.loop(o, oo, values(step.x), start(step.x), stride(step.x), n)
    else if (step.kind === 2) {
      const { x, y } = step
      const loop = this.isInt ? step.intLoop : step.loop
      loop(o, oo, values(x), start(x), stride(x), values(y), start(y), stride(y), n)
    } else {
      const { test, a, b } = step
      select(
        o,
        oo,
        values(test),
        start(test),
        stride(test),
        values(a),
        start(a),
        stride(a),
        values(b),
        start(b),
        stride(b),
        n,
      )
    }
  }
}

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
