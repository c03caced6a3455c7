import { types } from 'node:util'
import * as core from '@adjoint/core'
import { AdjointError, floatx, GradientTape, setFloatx, tensor, Tensor } from '@adjoint/core'
import { currentBackend, methods, randomState, rows, setRandomState } from '@adjoint/core/extend'
import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { examples } from '../../scripts/docs/examples.js'
import { documentedOps } from '../../scripts/docs/source.js'

// Every public function is called with anything at all. It may succeed; it may throw an AdjointError; nothing else.

const CALLS = 5000
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)
/** More than a call of tiny tensors can need on a busy machine; a hang is longer. */
const MOST_MILLISECONDS = 1000
const MOST_BYTES = 64 * 2 ** 20
/** Values are cut to 80 characters, so no message is endless. */
const LONGEST_MESSAGE = 1000

/** What user code throws: handed through unchanged. */
class UserError extends Error {}

type Call = (...args: never[]) => unknown

/** Everything that can be called, by a name for reports. */
function entries(): Map<string, Call> {
  const found = new Map<string, Call>()
  for (const [name, value] of Object.entries(core))
    if (typeof value === 'function' && !isClass(value)) found.set(name, value as Call)
  for (const [name, draw] of Object.entries(core.random)) found.set(`random.${name}`, draw)
  for (const name of Object.keys(methods))
    found.set(`x.${name}`, (...args) => (tensor([1, 2]) as unknown as Record<string, Call>)[name]!(...args))
  found.set('variable.assign', (value: never) => core.variable([1, 2]).assign(value))
  found.set('gradientTape.watch', (xs: never) => onTape((tape) => tape.watch(xs)))
  found.set('gradientTape.gradient', (y: never, xs: never, g: never) =>
    onTape((tape) => tape.gradient(y, xs, g)),
  )
  for (const name of TRANSFORMS)
    found.set(`${name}(…)(…)`, (f: never, options: never, ...args: never[]) => {
      const transform = found.get(name) as (f: Call, options: unknown) => Call
      return transform(f, options)(...args)
    })
  found.set('withBackend(cpu, …)', (f: never) => core.withBackend(currentBackend(), f))
  // As in the docs, but for one operand.
  for (const [name, { operands, call }] of Object.entries(examples))
    found.set(`${name}, one operand wrong`, (which: unknown, junk: unknown) => {
      const names = Object.keys(operands)
      const wrong = names[(typeof which === 'number' ? Math.abs(which | 0) : 0) % names.length]!
      return call({ ...operands, [wrong]: junk } as never)
    })
  found.set('vjp(…)[1](…)', (f: never, primals: never, g: never) => core.vjp(f, primals)[1](g))
  return found
}

const TRANSFORMS = [
  'grad',
  'valueAndGrad',
  'jacobian',
  'hessian',
  'hvp',
  'customGradient',
  'checkpoint',
] as const

function isClass(f: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(f))
}

function onTape<R>(use: (tape: GradientTape) => R): R {
  const tape = core.gradientTape()
  try {
    return use(tape)
  } finally {
    tape.close()
  }
}

// ---- what they are called with

const side = fc.nat({ max: 3 })
const shape = fc.array(side, { maxLength: 3 })
const numbers = fc.oneof(
  fc.integer({ min: -3, max: 6 }),
  fc.constantFrom(0.5, -0, NaN, Infinity, -Infinity, 2 ** 33, -(2 ** 33), 2 ** 53, 1e308, 5e-324),
)
const goodTensor = fc
  .record({ shape, dtype: fc.constantFrom('float32', 'float64', 'int32', 'uint8', 'bool') })
  .map(({ shape: sides, dtype }) => core.ones(sides, dtype as 'float32'))
const oddTensor = fc.constantFrom(
  () => tensor(['a', 'b'], { dtype: 'string' }) as unknown as Tensor,
  () => tensor([NaN, Infinity, -0]),
  () => core.zeros([0, 3]),
  () => core.variable([1, 2]),
  () => tensor([[3, 1, 2]], { dtype: 'int32' }),
  () => {
    const x = tensor([1, 2])
    x.dispose()
    return x
  },
  () => core.zeros(new Array<number>(32).fill(1)),
)
const tensors = fc.oneof(
  { weight: 4, arbitrary: goodTensor },
  { weight: 1, arbitrary: oddTensor.map((make) => make()) },
)

const words = fc.oneof(
  fc.constantFrom(
    'float32',
    'int32',
    'string',
    'ij,jk->ik',
    '...i->i',
    'ii',
    '1:-1',
    '..., None',
    'mean',
    'sum',
    'none',
    'inf',
  ),
  fc.constantFrom('reflect', 'keras2', '__proto__', 'constructor', 'toString', '', '('.repeat(1e5)),
  fc.string({ unit: 'binary', maxLength: 8 }),
)

/** A value that is made when it is used: some cannot be printed, and reports print what was drawn. */
class Odd {
  constructor(
    readonly name: string,
    readonly make: () => unknown,
  ) {}

  [fc.toStringMethod](): string {
    return this.name
  }
}

const oddities: readonly Odd[] = [
  new Odd('a symbol', () => Symbol('odd')),
  new Odd('a bigint', () => 10n),
  new Odd('a cyclic list', cyclic),
  new Odd('a list in 100,000 lists', () => nested(100_000)),
  // oxlint-disable-next-line no-sparse-arrays -- a hole is what is tried
  new Odd('[1, , 3]', () => [1, , 3]),
  new Odd('a list of 2^32 - 1 holes', () => new Array<number>(2 ** 32 - 1)),
  new Odd('a list of 10^9 holes', holes),
  new Odd('a Proxy of a list', () => new Proxy([1, 2], {})),
  new Odd('a Proxy of a tensor', () => new Proxy(tensor([1, 2]), {})),
  new Odd('a list that grows when asked', lengthening),
  new Odd('an object without prototype', () => Object.create(null) as unknown),
  new Odd('a getter', () => Object.defineProperty({}, 'axis', { enumerable: true, get: () => 0 })),
  new Odd('a Float64Array', () => new Float64Array(2)),
  new Odd('a BigInt64Array', () => new BigInt64Array(2)),
  new Odd('a DataView', () => new DataView(new ArrayBuffer(8))),
  new Odd('shared memory', () => new Float32Array(new SharedArrayBuffer(8))),
  new Odd('a promise', () => Promise.resolve(tensor(1))),
  new Odd('an invalid date', () => new Date(NaN)),
  new Odd('a regular expression', () => /x/),
  new Odd('a map', () => new Map([[1, 2]])),
  new Odd('an heir of a tensor', () => Object.create(tensor([1])) as unknown),
  new Odd('a polluting record', () => JSON.parse('{"__proto__": {"polluted": 1}, "axis": 0}') as unknown),
]

/** The value with what is odd in it made, also in a list or in options. */
function made(value: unknown): unknown {
  if (value instanceof Odd) return value.make()
  if (Array.isArray(value)) return value.map((each: unknown) => (each instanceof Odd ? each.make() : each))
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]: [string, unknown]) => [
      key,
      each instanceof Odd ? each.make() : each,
    ]),
  )
}

function holes(): number[] {
  return new Array<number>(1e9)
}

function cyclic(): unknown[] {
  const list: unknown[] = []
  list.push(list)
  return list
}

function nested(depth: number): unknown[] {
  let list: unknown[] = [1]
  for (let i = 0; i < depth; i++) list = [list]
  return list
}

/** An array that is longer each time it is asked. */
function lengthening(): unknown {
  let length = 0
  return new Proxy([1, 2], {
    get: (target, key) => (key === 'length' ? length++ : (Reflect.get(target, key) as unknown)),
  })
}

const anything = fc.anything({
  maxDepth: 2,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: true,
})

/** A function of the caller's, whose own mistakes are told from those of the library. */
function ofCaller(f: (...xs: Tensor[]) => unknown): Call {
  return (...xs: Tensor[]) => {
    try {
      return f(...xs)
    } catch (error) {
      throw error instanceof AdjointError ? error : new UserError('thrown by the caller', { cause: error })
    }
  }
}

const functions = fc
  .oneof(
    fc.constantFrom(
      (x: Tensor) => x,
      (x: Tensor) => x.square().sum(),
      (x: Tensor, y: Tensor) => x.mul(y).sum(),
      () => tensor(1),
      () => {
        throw new Error('thrown by the caller')
      },
      () => Promise.resolve(tensor(1)),
      (x: Tensor) => ({ a: [x, x.exp()] }),
      (x: Tensor) => core.grad((y: Tensor) => x.mul(y).sum())(x),
    ),
    anything.map((value) => () => value),
  )
  .map(ofCaller)

/** Shapes, axes, lists of tensors. */
const lists = fc.oneof(
  fc.array(numbers, { maxLength: 3 }),
  fc.array(fc.array(numbers, { maxLength: 2 }), { maxLength: 3 }),
  fc.array(tensors, { maxLength: 3 }),
  fc.array(fc.oneof(numbers, fc.constantFrom<unknown>(...oddities)), { maxLength: 2 }),
)

const single = fc.oneof<fc.MaybeWeightedArbitrary<unknown>[]>(
  { weight: 4, arbitrary: tensors },
  { weight: 3, arbitrary: numbers },
  { weight: 2, arbitrary: lists },
  { weight: 1, arbitrary: words },
  { weight: 1, arbitrary: functions },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(...oddities) },
  { weight: 1, arbitrary: anything },
)

const MAKING: Readonly<Record<string, readonly string[]>> = {
  tensor: ['shape', 'dtype'],
  variable: ['name', 'trainable', 'dtype'],
  gradientTape: ['persistent'],
  grad: ['argnums'],
  valueAndGrad: ['argnums'],
  'random.uniform': ['min', 'max', 'seed', 'dtype'],
  'random.normal': ['mean', 'std', 'seed', 'dtype'],
  'random.truncatedNormal': ['mean', 'std', 'seed', 'dtype'],
  'random.randint': ['seed'],
  'random.bernoulli': ['seed'],
  'random.categorical': ['seed'],
  'random.permutation': ['seed'],
}
const optionNames = new Map(Object.entries(MAKING))
for (const { name, options } of documentedOps())
  if (options.length > 0)
    optionNames.set(
      name,
      options.map((option) => option.name.replace('?', '')),
    )

/** Options by the names that exist, with values that need not. */
function optionsOf(name: string): fc.Arbitrary<unknown> {
  const own = optionNames.get(name.replace(/^x\.|\(.*$/g, '')) ?? ['axis', 'seed', 'dtype']
  return fc.dictionary(fc.constantFrom(...own), single, { maxKeys: 3, noNullPrototype: true })
}

function argsOf(name: string): fc.Arbitrary<unknown[]> {
  const argument = fc.oneof(
    { weight: 4, arbitrary: single },
    { weight: optionNames.has(name) ? 3 : 1, arbitrary: optionsOf(name) },
  )
  return fc.oneof(
    fc.array(argument, { maxLength: 5 }),
    // Operands that are right, so that what comes after them is looked at.
    fc.tuple(goodTensor, fc.array(argument, { maxLength: 3 })).map(([x, rest]) => [x, ...rest]),
    fc
      .tuple(goodTensor, goodTensor, fc.array(argument, { maxLength: 2 }))
      .map(([x, y, rest]) => [x, y, ...rest]),
    fc.tuple(functions, argument, fc.array(tensors, { maxLength: 3 })).map(([f, x, xs]) => [f, x, ...xs]),
    fc.tuple(fc.nat({ max: 5 }), argument),
  )
}

// ---- what must hold

/** All tensors among the arguments whose values can be read. */
function tensorsIn(given: readonly unknown[]): Tensor[] {
  return given
    .flatMap((x) => (Array.isArray(x) && !types.isProxy(x) && x.length < 10 ? [...(x as unknown[])] : [x]))
    .filter(
      (x) => x instanceof Tensor && !types.isProxy(x) && Object.hasOwn(x, 'shape') && !x.isDisposed,
    ) as Tensor[]
}

const valuesOf = (xs: readonly Tensor[]): unknown => xs.map((x) => [x.shape, x.dtype, x.dataSync()])

const prototypes = [Object.prototype, Array.prototype, Function.prototype, Tensor.prototype]
const keysOf = (): string => prototypes.map((p) => Reflect.ownKeys(p).map(String).join()).join('|')

interface Outcome {
  readonly thrown: unknown
  readonly returned: unknown
}

function attempt(call: Call, given: readonly unknown[]): Outcome {
  try {
    return { thrown: undefined, returned: call(...(given as never[])) }
  } catch (error) {
    return { thrown: error ?? 'nothing', returned: undefined }
  }
}

function timeOf(call: Call, given: readonly unknown[]): number {
  const start = performance.now()
  attempt(call, given)
  return performance.now() - start
}

/** Calls it, and throws where it did anything that it may not. */
function check(name: string, call: Call, given: readonly unknown[]): void {
  const inputs = tensorsIn(given)
  const before = {
    inputs: valuesOf(inputs),
    random: randomState(),
    float: floatx(),
    keys: keysOf(),
    rows: rows.size,
  }
  const bytes = process.memoryUsage().arrayBuffers
  const start = performance.now()
  const { thrown, returned } = attempt(call, given)
  const milliseconds = performance.now() - start
  const allocated = process.memoryUsage().arrayBuffers - bytes
  // A second time, where the machine may have been busy with something else.
  if (milliseconds > MOST_MILLISECONDS) expect(timeOf(call, given), 'ms').toBeLessThan(MOST_MILLISECONDS)

  if (thrown !== undefined && !(thrown instanceof UserError)) {
    if (!(thrown instanceof AdjointError)) throw new Error(`${name} threw something else`, { cause: thrown })
    expect(thrown.code, 'its code').toMatch(/^[A-Z_]+$/)
    expect(thrown.message.length, 'the length of its message').toBeLessThan(LONGEST_MESSAGE)
  }
  if (returned instanceof GradientTape) returned.close()
  if (returned instanceof Promise) returned.catch(() => undefined)
  if (thrown === undefined) {
    setFloatx(before.float)
    setRandomState(before.random)
  }
  expect(allocated, 'bytes allocated').toBeLessThan(MOST_BYTES)
  expect(valuesOf(inputs), 'its arguments').toEqual(before.inputs)
  expect(rows.size, 'the table of ops').toBe(before.rows)
  expect(keysOf(), 'the built-in prototypes').toBe(before.keys)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  expect(randomState(), 'the random state').toEqual(before.random)
  expect(floatx(), 'the default float').toBe(before.float)

  // Still usable, and no tape left open.
  const next = tensor([1, 2]).add(tensor([3, 4]))
  expect([...next.dataSync()]).toEqual([4, 6])
  expect(next.position, 'a position on a tape').toBe(-1)
}

describe('anything at all, as arguments', () => {
  const calls = entries()
  const anyCall = fc.constantFrom(...calls.keys()).chain((name) => fc.tuple(fc.constant(name), argsOf(name)))
  const runs = (count: number, seed: number): void =>
    fc.assert(
      fc.property(anyCall, ([name, given]) => {
        check(name, calls.get(name)!, given.map(made))
      }),
      { numRuns: count, seed },
    )

  test(`gives a result or a typed error in ${CALLS} calls (FUZZ_SEED=${SEED})`, () => {
    runs(CALLS, SEED)
  }, 560_000)

  // Each of these was found so, or beside what was.
  const x = tensor([1, 2])
  test.each<[string, Call, readonly unknown[], typeof core.ValueError | typeof core.DTypeError]>([
    ['detectAnomalies of no function', core.detectAnomalies, [x], core.ValueError],
    ['withBackend of no function', calls.get('withBackend(cpu, …)')!, [x], core.ValueError],
    ['a variable that is assigned no tensor', calls.get('variable.assign')!, [undefined], core.ValueError],
    ['argnums that are no list', calls.get('grad(…)(…)')!, [square, { argnums: {} }, x], core.ValueError],
    [
      'argnums that name one twice',
      calls.get('grad(…)(…)')!,
      [square, { argnums: [0, 0] }, x, x],
      core.ValueError,
    ],
    ['an unknown option of grad', calls.get('grad(…)(…)')!, [square, { argnum: 1 }, x, x], core.ValueError],
    ['a norm of what is no text', core.norm, [x, { ord: Object.create(null) as unknown }], core.ValueError],
    ['keeping what is no tensor', core.keep, [undefined], core.ValueError],
    ['a tensor of holes', core.tensor, [holes()], core.DTypeError],
    ['a beginning of holes', core.slice, [x, holes()], core.ValueError],
    ['axes of holes', core.sum, [x, holes()], core.ValueError],
    ['a stack of holes', core.stack, [holes()], core.ValueError],
    ['a shift of holes', core.roll, [x, holes(), holes()], core.ValueError],
    ['sizes of holes', core.split, [x, holes()], core.ValueError],
    ['argnums of holes', calls.get('grad(…)(…)')!, [square, { argnums: holes() }, x], core.ValueError],
    ['primals of holes', core.vjp, [square, holes()], core.ValueError],
    ['an argument of holes', calls.get('grad(…)(…)')!, [square, {}, holes()], core.ValueError],
    ['variables of holes', core.valueAndGrads, [() => x.sum(), holes()], core.ValueError],
    // oxlint-disable-next-line no-sparse-arrays -- the hole is the point
    ['repetitions with a hole', core.tile, [core.ones([1, 1]), [2, ,]], core.ValueError],
  ])('%s', (name, call, given, kind) => {
    check(name, call, given)
    expect(() => call(...(given as never[]))).toThrow(kind)
  })
})

const square = (x: Tensor): Tensor => x.square().sum()
