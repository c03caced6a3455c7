import { floatx, isFloat, setFloatx } from '../dtype.js'
import { DTypeError, show, typeName, ValueError } from '../errors.js'
import { cast } from '../ops/index.js'
import { random, randomState, setRandomState } from '../random.js'
import { sizeOf } from '../shape.js'
import { fromHost, Tensor, unflatten } from '../tensor.js'
import { type TensorTree, vjp } from '../transforms.js'
import { formatPath, leavesOf, mapTree, replaceLeaves } from '../tree.js'
import { GradientError } from './gradient-error.js'
import { sourceOf } from './source.js'

/** Options of {@link checkGradients}. */
export interface CheckGradientsOptions {
  /** 1 (default) checks the gradient; 2 also checks the gradient of the gradient, in the same way. */
  readonly order?: 1 | 2
  /** `'directions'` (default) moves all elements at once along random directions; `'full'` moves one at a time. */
  readonly mode?: 'directions' | 'full'
  /** How many directions; 2 unless given. A wrong gradient stays hidden only if the errors of its elements cancel. */
  readonly directions?: number
  /** Chooses the directions and the cotangent of what `f` returns; 0 unless given. */
  readonly seed?: number
  /**
   * h, how far an element x moves, in units of max(1, |x|); 1e-5 unless given. A central difference is wrong by
   * h² f‴ / 6, what the expansion leaves out, and by about ε |f| / h, the rounding of f (ε = 2.2e-16). Both are
   * near 2e-11 at h = 1e-5.
   */
  readonly step?: number
  /** Allowed difference relative to the derivative; 1e-6 unless given: room for f‴ up to 6e4 times f′. */
  readonly rtol?: number
  /**
   * Allowed difference, in units of max(1, Σ|c f|) where c is the cotangent; 1e-8 unless given: room for 450
   * roundings of f, each worth ε / h.
   */
  readonly atol?: number
}

/**
 * Compares the gradients of `f` at `inputs` with central differences and returns if they agree.
 *
 * `f` takes the inputs (tensors or pytrees of them) and returns a tensor or a pytree; what it returns is summed
 * against a fixed random cotangent, so `f` need not return a scalar. Inputs that are no floats stay as they are.
 * Everything is computed in float64: float32 inputs are converted, and `f` runs with float64 as the default float,
 * because in float32 the differences would know three digits at most. Random numbers drawn inside `f` are the same
 * at each call, and the check leaves the global generator as it found it.
 *
 * Check beside kinks, not at them: at |x| = 0 a central difference is the mean of both slopes, and the library's
 * choice there is a convention. No element moves further than 2 `step` max(1, |x|), to both sides alike.
 * @throws GradientError where they differ, with the input, the index, both numbers and a line that reproduces it.
 * @throws ValueError when `f` gives different values for the same inputs, or values that are not finite.
 * @throws DTypeError when `f` returns float32 for float64 inputs.
 * @example checkGradients((x: Tensor) => x.exp().sum(), [tensor([0, 1])])
 */
export function checkGradients<I extends readonly unknown[]>(
  f: (...inputs: I) => TensorTree,
  inputs: I,
  options: CheckGradientsOptions = {},
): void {
  const settings = settingsOf(options)
  const state = randomState()
  const float = floatx()
  setFloatx('float64')
  try {
    const tree = inputs as unknown as TensorTree
    const paths = pathsOf(tree)
    const all = leavesOf<Tensor>(tree, isTensor)
    const points = all.map((x) => (isFloat(x.dtype) ? toFloat64(x) : x.read()))
    const floats = points.filter((x) => isFloat(x.dtype))
    if (floats.length === 0)
      throw new DTypeError('checkGradients: none of the inputs is a float', { op: 'checkGradients' })

    const values: Values = (moved) => {
      setRandomState(state)
      let next = 0
      const leaves = points.map((x) => (isFloat(x.dtype) ? moved[next++]! : x))
      return floatsOf(f(...(replaceLeaves(tree, isTensor, leaves) as unknown as I)))
    }
    const names = paths.filter((_, i) => isFloat(all[i]!.dtype))
    const reproduction = (): string => {
      const at = sourceOf(replaceLeaves(tree, isTensor, points))
      return `checkGradients(${sourceOfFunction(f)}, ${at}, ${sourceOf({ ...options })})`
    }

    const cotangents = cotangentsFor(values, floats, settings.seed)
    check({ values, cotangents, points: floats, names, order: 1, settings, reproduction })
    if (settings.order === 1) return

    const gradients: Values = (moved) => vjp((...xs: Tensor[]) => values(xs), [...moved])[1](cotangents)
    const second = cotangentsFor(gradients, floats, settings.seed + 1)
    check({
      values: gradients,
      cotangents: second,
      points: floats,
      names,
      order: 2,
      settings,
      reproduction,
    })
  } finally {
    setFloatx(float)
    setRandomState(state)
  }
}

type Settings = Required<CheckGradientsOptions>

function settingsOf(options: CheckGradientsOptions): Settings {
  const { order = 1, mode = 'directions', directions = 2, seed = 0, step = 1e-5, rtol = 1e-6 } = options
  const { atol = 1e-8 } = options
  const refuse = (name: string, value: unknown, expected: string): ValueError =>
    new ValueError(`checkGradients: ${name} must be ${expected}, got ${show(value)}`, {
      op: 'checkGradients',
    })
  if (order !== 1 && order !== 2) throw refuse('order', order, '1 or 2')
  if (mode !== 'directions' && mode !== 'full') throw refuse('mode', mode, "'directions' or 'full'")
  if (!Number.isInteger(directions) || directions < 1)
    throw refuse('directions', directions, 'a whole number >= 1')
  if (!Number.isInteger(seed) || seed < 0) throw refuse('seed', seed, 'a whole number >= 0')
  if (!(step > 0)) throw refuse('step', step, 'a number > 0')
  if (!(rtol >= 0)) throw refuse('rtol', rtol, 'a number >= 0')
  if (!(atol >= 0)) throw refuse('atol', atol, 'a number >= 0')
  return { order, mode, directions, seed, step, rtol, atol }
}

/** A function of the float inputs, in float64. */
type Values = (moved: readonly Tensor[]) => Tensor[]

/** Everything that one comparison needs. */
interface Task {
  readonly values: Values
  /** One for each of the values. */
  readonly cotangents: readonly Tensor[]
  readonly points: readonly Tensor[]
  /** How messages call the points. */
  readonly names: readonly string[]
  readonly order: 1 | 2
  readonly settings: Settings
  readonly reproduction: () => string
}

/** How far each element of each input moves. */
type Direction = readonly Float64Array[]

/** Two derivatives along one direction, and how far they may differ. */
interface Comparison {
  readonly analytic: number
  readonly numeric: number
  readonly allowed: number
}

function check(task: Task): void {
  const { points, settings } = task
  const base = task.points.map((x) => x.dataSync() as Float64Array)
  const gradients = vjp((...xs: Tensor[]) => task.values(xs), [...points])[1]([...task.cotangents]).map(
    (g) => g.dataSync() as Float64Array,
  )
  const compare = (direction: Direction): Comparison => compareAlong(task, base, gradients, direction)

  if (settings.mode === 'full') {
    const places = base.flatMap((x, input) => Array.from(x, (_, at) => ({ input, at })))
    const wrong = places
      .map((place) => ({ ...place, found: compare(unit(base, place.input, place.at)) }))
      .filter(({ found }) => differs(found))
    if (wrong.length === 0) return
    const worst = wrong.reduce((a, b) => (excess(b.found) > excess(a.found) ? b : a))
    const count = `${wrong.length} of ${places.length} elements differ; the worst is `
    throw report(task, base, worst.input, worst.at, worst.found, count)
  }

  for (let i = 0; i < settings.directions; i++) {
    const direction = base.map((x, input) => randomDirection(x, settings.seed, i, input))
    const found = compare(direction)
    if (!differs(found)) continue
    const { input, at } = locate(direction, compare)
    throw report(task, base, input, at, compare(unit(base, input, at)), '')
  }
}

function differs({ analytic, numeric, allowed }: Comparison): boolean {
  return !(Math.abs(analytic - numeric) <= allowed)
}

/** By how many times the allowed difference is exceeded; Infinity where there is no number. */
function excess({ analytic, numeric, allowed }: Comparison): number {
  const times = Math.abs(analytic - numeric) / allowed
  return Number.isNaN(times) ? Infinity : times
}

function compareAlong(
  task: Task,
  base: readonly Float64Array[],
  gradients: readonly Float64Array[],
  direction: Direction,
): Comparison {
  const { step: h, rtol, atol } = task.settings
  let analytic = 0
  gradients.forEach((g, input) => g.forEach((value, at) => (analytic += value * direction[input]![at]!)))

  const ahead = along(task, base, direction, h)
  const behind = along(task, base, direction, -h)
  const scale = Math.max(1, ahead.scale)
  const comparisonWith = (numeric: number): Comparison => ({
    analytic,
    numeric,
    allowed: rtol * Math.max(Math.abs(analytic), Math.abs(numeric)) + atol * scale,
  })
  const found = comparisonWith((ahead.value - behind.value) / (2 * h))
  if (!differs(found)) return found
  // Before anything is said to be wrong: the five-point formula, which leaves out h⁴ f⁽⁵⁾ / 30 only.
  const far = along(task, base, direction, 2 * h).value - along(task, base, direction, -2 * h).value
  return comparisonWith((8 * (ahead.value - behind.value) - far) / (12 * h))
}

interface Sum {
  /** Σ c f */
  readonly value: number
  /** Σ |c f| */
  readonly scale: number
}

/** The values of f at `base` moved by `amount` times the direction, summed against the cotangents. */
function along(task: Task, base: readonly Float64Array[], direction: Direction, amount: number): Sum {
  const moved = base.map((x, input) => {
    const to = x.map((value, at) => value + amount * direction[input]![at]!)
    return fromHost(to, task.points[input]!.shape, 'float64')
  })
  return weighted(task.values(moved), task.cotangents)
}

function weighted(values: readonly Tensor[], cotangents: readonly Tensor[]): Sum {
  let value = 0
  let scale = 0
  values.forEach((out, i) => {
    const c = cotangents[i]!.dataSync()
    out.dataSync().forEach((y, at) => {
      value += y * c[at]!
      scale += Math.abs(y * c[at]!)
    })
  })
  return { value, scale }
}

/** Moves one element alone. */
function unit(base: readonly Float64Array[], input: number, at: number): Direction {
  return base.map((x, i) => {
    const direction = new Float64Array(x.length)
    if (i === input) direction[at] = Math.max(1, Math.abs(x[at]!))
    return direction
  })
}

/** Each element moves by 1/2 to 1 of max(1, |x|), up or down: none stands still, none leaves its neighbourhood. */
function randomDirection(x: Float64Array, seed: number, i: number, input: number): Float64Array {
  const u = draw([x.length], seed + 1000 * (i + 1) + input).dataSync()
  return x.map((value, at) => spread(u[at]!) * Math.max(1, Math.abs(value)))
}

/** [0, 1) to ±[1/2, 1). */
function spread(u: number): number {
  return u < 0.5 ? u - 1 : u
}

function draw(shape: readonly number[], seed: number): Tensor {
  return random.uniform(shape, { seed, dtype: 'float64' })
}

/** Along which single element the derivatives differ: the direction is halved, and the worse half kept. */
function locate(
  direction: Direction,
  compare: (direction: Direction) => Comparison,
): { input: number; at: number } {
  let places = direction.flatMap((d, input) => Array.from(d, (_, at) => ({ input, at })))
  while (places.length > 1) {
    const middle = places.length >> 1
    const halves = [places.slice(0, middle), places.slice(middle)] as const
    const [first, second] = halves.map((half) => {
      const part = direction.map((d) => new Float64Array(d.length))
      for (const { input, at } of half) part[input]![at] = direction[input]![at]!
      return excess(compare(part))
    }) as [number, number]
    places = first >= second ? halves[0] : halves[1]
  }
  return places[0]!
}

function report(
  task: Task,
  base: readonly Float64Array[],
  input: number,
  at: number,
  found: Comparison,
  count: string,
): GradientError {
  // A derivative by x itself, not by x in units of max(1, |x|).
  const unitOfX = Math.max(1, Math.abs(base[input]![at]!))
  const analytic = found.analytic / unitOfX
  const numeric = found.numeric / unitOfX
  return new GradientError({
    input: task.names[input]!,
    index: unflatten(at, task.points[input]!.shape),
    order: task.order,
    analytic,
    numeric,
    allowed: found.allowed / unitOfX,
    count,
    hint: hintAt(task, base, unit(base, input, at)),
    reproduction: task.reproduction(),
  })
}

/** What a failure may come from other than a wrong gradient. */
function hintAt(task: Task, base: readonly Float64Array[], direction: Direction): string {
  const h = task.settings.step
  const here = along(task, base, direction, 0).value
  const slope = (by: number): number => (along(task, base, direction, by).value - here) / by
  const [left, right] = [slope(-h), slope(h)]
  if (!Number.isFinite(left) || !Number.isFinite(right))
    return 'f is not finite one step away: check further inside its domain'
  // Where f is smooth, the slopes to both sides differ by h f″: half as much at half the step.
  const isJump = Math.abs(right - left) > 1e-3 * Math.max(Math.abs(left), Math.abs(right), 1e-3)
  const stays = Math.abs(slope(h / 2) - slope(-h / 2)) > 0.75 * Math.abs(right - left)
  return isJump && stays
    ? `the slopes to its two sides are ${left.toPrecision(6)} and ${right.toPrecision(6)}: a kink? check beside it`
    : ''
}

/** A random tensor of ±[1/2, 1) for each value. */
function cotangentsFor(values: Values, points: readonly Tensor[], seed: number): Tensor[] {
  const outs = values(points)
  const again = values(points)
  outs.forEach((out, i) => checkValues(out, again[i]))
  return outs.map((out, i) => {
    const u = draw(out.shape, seed + 1_000_000 * (i + 1)).dataSync()
    return fromHost(Float64Array.from(u, spread), out.shape, 'float64')
  })
}

function checkValues(out: Tensor, again: Tensor | undefined): void {
  const refuse = (why: string): ValueError =>
    new ValueError(`checkGradients: ${why}`, { op: 'checkGradients' })
  if (out.dtype !== 'float64')
    throw new DTypeError(
      `checkGradients: f returned ${out.dtype} for float64 inputs; differences need float64, so leave out its cast`,
      { op: 'checkGradients' },
    )
  const a = out.dataSync()
  const b = again?.dataSync()
  for (let i = 0; i < sizeOf(out.shape); i++) {
    if (!Object.is(a[i], b?.[i]))
      throw refuse(`f returned ${show(a[i])}, then ${show(b?.[i])} for the same inputs`)
    if (!Number.isFinite(a[i]))
      throw refuse(`f returned ${show(a[i])}; gradients are checked where f is finite`)
  }
}

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** The floats among the leaves of what f returned. */
function floatsOf(returned: TensorTree): Tensor[] {
  return leavesOf<Tensor>(returned, isTensor).filter((out: unknown) => {
    if (!isTensor(out))
      throw new ValueError(`checkGradients: f returned ${typeName(out)} where a tensor was expected`, {
        op: 'checkGradients',
      })
    return isFloat(out.dtype)
  })
}

/** `inputs[0].w` for each leaf. */
function pathsOf(inputs: TensorTree): string[] {
  const paths: string[] = []
  mapTree(inputs, isTensor, (leaf: unknown, path) => {
    const name = formatPath('inputs', path)
    if (!isTensor(leaf))
      throw new ValueError(`checkGradients: ${name} must be a tensor, got ${typeName(leaf)}`, {
        op: 'checkGradients',
      })
    paths.push(name)
  })
  return paths
}

function toFloat64(x: Tensor): Tensor {
  return x.dtype === 'float64' ? x.read() : cast(x, 'float64')
}

/** The function itself where it fits into the line, else its name. */
function sourceOfFunction(f: (...inputs: never) => unknown): string {
  const text = f.toString()
  return text.length <= 120 && !text.includes('\n') ? text : f.name || 'f'
}
