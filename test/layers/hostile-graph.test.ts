import {
  activation,
  add,
  concatenate,
  dense,
  dropout,
  embedding,
  flatten,
  GraphError,
  input,
  lambda,
  Layer,
  LimitError,
  maximum,
  model,
  type Model,
  multiply,
  reshape,
  setSeed,
  ShapeError,
  type Sym,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
} from '@adjoint/layers'
import { beforeEach, describe, expect, it } from 'vitest'
import { stateOf } from '../support/state.js'

// Section B of test/oracles/hostile.md: bad models. After each error another model, its weights and the random numbers
// are as before, and building goes on as if nothing had happened.

type ErrorClass = abstract new (...args: never[]) => Error
interface Row {
  readonly id: string
  readonly what: string
  /** The bad call; or, if it needs good ones before it, these, returning it. */
  readonly bad: () => unknown
  readonly isPrepared?: true
  readonly kind: ErrorClass | readonly ErrorClass[]
  readonly says: readonly (string | RegExp)[]
}

const x = (side = 5): Sym.Num => input({ shape: [side] })
const as = (value: unknown): never => value as never
/** A layer with an option, called so that every check has run. */
const used = (layer: unknown): unknown => (layer as (x: unknown) => unknown)(x())

class Bad extends Layer {
  override call(): Tensor {
    throw new RangeError('deep inside')
  }
}

const names: readonly [name: unknown, shown: string][] = [
  ['', '""'],
  ['a\u0000b', '"a\\u0000b"'],
  ['line\nbreak', '"line\\nbreak"'],
  ['\u001b[31mred', '\\u001b'],
  ['\u202eltr', 'control'],
  ['n'.repeat(300), '300'],
  [3, '3'],
  [null, 'null'],
]

const table: readonly Row[] = [
  {
    id: 'B01',
    what: 'two layers of one name',
    bad: () => {
      const a = x()
      const outputs = dense(1, { name: 'twin' })(dense(2, { name: 'twin' })(a))
      return () => model({ inputs: a, outputs })
    },
    isPrepared: true,
    kind: GraphError,
    says: ['"twin"', 'must be unique', 'Dense'],
  },
  ...names.flatMap(([name, shown]): Row[] => [
    {
      id: 'B02',
      what: `a layer named ${shown.slice(0, 20)}`,
      bad: () => dense(1, { name: as(name) }),
      kind: ValueError,
      says: [shown],
    },
    {
      id: 'B02',
      what: `an input named ${shown.slice(0, 20)}`,
      bad: () => input({ shape: [1], name: as(name) }),
      kind: ValueError,
      says: [shown],
    },
  ]),
  {
    id: 'B03',
    what: 'two inputs of one name',
    bad: () => {
      const a = input({ shape: [1], name: 'price' })
      const b = input({ shape: [1], name: 'price' })
      return model({ inputs: [a, b], outputs: add([a, b]) })
    },
    kind: GraphError,
    says: ['"price"', 'must be unique'],
  },
  {
    id: 'B03',
    what: 'two inputs that were given one name later',
    bad: () => {
      const [a, b] = [x().named('price'), x().named('price')]
      return model({ inputs: [a, b], outputs: add([a, b]) })
    },
    kind: GraphError,
    says: ['"price"', 'must be unique'],
  },
  {
    id: 'B05',
    what: 'an output that needs an input which is not listed',
    bad: () => {
      const a = input({ shape: [5], name: 'a' })
      const b = input({ shape: [5], name: 'b' })
      const outputs = dense(1, { name: 'y' })(add([dense(2)(a), dense(2)(b)]))
      return () => model({ inputs: a, outputs })
    },
    isPrepared: true,
    kind: GraphError,
    says: ['y <- add <- dense <- b', 'input "b"', 'not among the model\'s inputs ("a")', 'disconnected'],
  },
  {
    id: 'B05',
    what: 'a long way to an input that is not listed',
    bad: () => {
      let h: Sym.Num = input({ shape: [1], name: 'far' })
      for (let i = 0; i < 50; i++) h = h.add(1)
      return model({ inputs: x(), outputs: h })
    },
    kind: GraphError,
    says: ['…', '<- far', '"input_layer"'],
  },
  {
    id: 'B07',
    what: 'no inputs',
    bad: () => model({ inputs: [], outputs: x() }),
    kind: ValueError,
    says: ['inputs', 'empty'],
  },
  {
    id: 'B07',
    what: 'no outputs',
    bad: () => model({ inputs: x(), outputs: [] }),
    kind: ValueError,
    says: ['outputs', 'empty'],
  },
  {
    id: 'B07',
    what: 'an empty record',
    bad: () => model({ inputs: {}, outputs: {} }),
    kind: ValueError,
    says: ['empty'],
  },
  { id: 'B07', what: 'no options', bad: () => model(as(undefined)), kind: ValueError, says: ['model'] },
  {
    id: 'B08',
    what: 'an input listed twice',
    bad: () => {
      const a = input({ shape: [1], name: 'a' })
      return model({ inputs: [a, a], outputs: a })
    },
    kind: GraphError,
    says: ['"a"', 'twice'],
  },
  ...['inputs', 'outputs'].flatMap((end): Row[] => {
    const bad = (value: unknown) => () => {
      const a = x()
      return model(as({ inputs: a, outputs: a, [end]: value }))
    }
    return [
      {
        id: 'B09',
        what: `data as ${end}`,
        bad: bad(tensor([[1]])),
        kind: GraphError,
        says: [end, 'a concrete tensor'],
      },
      {
        id: 'B09',
        what: `a layer as ${end}`,
        bad: bad(dense(1)),
        kind: GraphError,
        says: [end, 'dense (Dense)', 'call it on a tensor first'],
      },
      { id: 'B09', what: `null as ${end}`, bad: bad(null), kind: GraphError, says: [end, 'null'] },
      { id: 'B09', what: `numbers as ${end}`, bad: bad([1, 2]), kind: GraphError, says: [end, 'number (1)'] },
    ]
  }),
  {
    id: 'B10',
    what: 'a symbolic tensor as data',
    bad: () => tensor(as(x())),
    kind: [ValueError, Error],
    says: ['SymbolicTensor'],
  },
  {
    id: 'B11',
    what: 'a merge of one',
    bad: () => add()(as([x()])),
    kind: ShapeError,
    says: ['add (Add)', 'got 1'],
  },
  {
    id: 'B11',
    what: 'a merge of none',
    bad: () => maximum()(as([])),
    kind: [ShapeError, ValueError],
    says: ['maximum (Maximum)'],
  },
  {
    id: 'B11',
    what: 'a merge of features that differ',
    bad: () => multiply({ name: 'product' })(as([x(5), x(4)])),
    kind: ShapeError,
    says: ['product (Multiply)', '[null,5]', '[null,4]'],
  },
  {
    id: 'B11',
    what: 'a merge of batches that differ',
    bad: () => add([tensor([[1], [2]]), tensor([[1], [2], [3]])]),
    kind: ShapeError,
    says: ['add (Add)', '[2,1]', '[3,1]'],
  },
  {
    id: 'B12',
    what: 'concatenation of batches',
    bad: () => concatenate({ axis: 0 }),
    kind: ValueError,
    says: ['concatenate', 'batch'],
  },
  {
    id: 'B12',
    what: 'concatenation on no axis',
    bad: () => concatenate({ axis: 2 })([x(), x()]),
    kind: ValueError,
    says: ['axis 2', '[null,5]'],
  },
  ...[0, -1, 1.5, NaN, '3', null, Infinity, [3]].map((units): Row => ({
    id: 'B13',
    what: `units ${String(units)}`,
    bad: () => dense(as(units)),
    kind: ValueError,
    says: ['units'],
  })),
  {
    id: 'B13',
    what: 'units 2^40',
    bad: () => dense(2 ** 40),
    kind: LimitError,
    says: ['units', '1099511627776'],
  },
  {
    id: 'B13',
    what: 'a kernel beyond all memory',
    bad: () => dense(2 ** 31)(x(1000)),
    kind: LimitError,
    says: ['dense (Dense)', 'kernel'],
  },
  {
    id: 'B14',
    what: 'dense on a batch of scalars',
    bad: () => dense(3, { name: 'head' })(input({ shape: [] })),
    kind: ShapeError,
    says: ['head (Dense)', '[null]'],
  },
  {
    id: 'B14',
    what: 'dense on an unknown side',
    bad: () => dense(3, { name: 'head' })(input({ shape: [4, null], name: 'seq' })),
    kind: ShapeError,
    says: ['head (Dense)', '[null,4,null] from "seq"'],
  },
  ...[0, -1, 1.5, NaN, '3'].flatMap((size): Row[] => [
    {
      id: 'B15',
      what: `inputDim ${size}`,
      bad: () => embedding(as(size), 2),
      kind: ValueError,
      says: ['inputDim'],
    },
    {
      id: 'B15',
      what: `outputDim ${size}`,
      bad: () => embedding(2, as(size)),
      kind: ValueError,
      says: ['outputDim'],
    },
  ]),
  {
    id: 'B15',
    what: 'no outputDim',
    bad: () => embedding(2, as(undefined)),
    kind: ValueError,
    says: ['outputDim', 'undefined'],
  },
  ...[-0.1, 1, 1.5, NaN, '0.5', null].map((rate): Row => ({
    id: 'B16',
    what: `rate ${rate}`,
    bad: () => dropout(as(rate)),
    kind: ValueError,
    says: ['[0, 1)', String(rate)],
  })),
  {
    id: 'B19',
    what: 'another size',
    bad: () => reshape([4])(x(5)),
    kind: ShapeError,
    says: ['reshape (Reshape)', '5', '[4]'],
  },
  {
    id: 'B19',
    what: 'a size that cannot be divided',
    bad: () => reshape([2, -1])(x(5)),
    kind: ShapeError,
    says: ['5', '[2,-1]'],
  },
  { id: 'B19', what: 'two sides of -1', bad: () => reshape([-1, -1]), kind: ShapeError, says: ['-1'] },
  { id: 'B19', what: 'a side of 1.5', bad: () => reshape([1.5]), kind: ShapeError, says: ['side 0', '1.5'] },
  { id: 'B19', what: 'no shape', bad: () => reshape(as(6)), kind: ShapeError, says: ['6'] },
  {
    id: 'B20',
    what: 'flatten of an unknown side',
    bad: () => flatten()(input({ shape: [3, null] })),
    kind: ShapeError,
    says: ['flatten (Flatten)', 'axis 2', '[null,3,null]'],
  },
  {
    id: 'B21',
    what: 'a misspelt option',
    bad: () => dense(as({ units: 3, activaton: 'relu' })),
    kind: ValueError,
    says: ['"activaton"', 'Did you mean "activation"'],
  },
  {
    id: 'B21',
    what: 'an unknown option',
    bad: () => flatten(as({ colour: 'red' })),
    kind: ValueError,
    says: ['"colour"'],
  },
  {
    id: 'B21',
    what: 'options that are none',
    bad: () => dense(3, as('relu')),
    kind: ValueError,
    says: ['"relu"'],
  },
  {
    id: 'B21',
    what: 'an option of the prototype',
    bad: () => dense(3, as(JSON.parse('{"__proto__":1}'))),
    kind: ValueError,
    says: ['"__proto__"'],
  },
  {
    id: 'B21',
    what: 'a misspelt option of input',
    bad: () => input(as({ shape: [1], nmae: 'a' })),
    kind: ValueError,
    says: ['"nmae"', 'Did you mean "name"'],
  },
  {
    id: 'B21',
    what: 'a misspelt option of model',
    bad: () => model(as({ inputs: x(), output: x() })),
    kind: ValueError,
    says: ['"output"', 'Did you mean "outputs"'],
  },
  {
    id: 'B22',
    what: 'a misspelt activation',
    bad: () => activation(as('rleu')),
    kind: ValueError,
    says: ['"rleu"', '"relu"'],
  },
  {
    id: 'B22',
    what: 'a misspelt initializer',
    bad: () => dense(1, { kernelInitializer: as('glorot_unifrom') }),
    kind: ValueError,
    says: ['"glorot_unifrom"', '"glorot_uniform"'],
  },
  ...['toString', 'constructor', 'hasOwnProperty', 'valueOf', '__proto__'].flatMap((name): Row[] => [
    {
      id: 'B23',
      what: `the activation ${name}`,
      bad: () => dense(1, { activation: as(name) }),
      kind: ValueError,
      says: [`"${name}"`],
    },
    {
      id: 'B23',
      what: `the initializer ${name}`,
      bad: () => embedding(2, 2, { embeddingsInitializer: as(name) }),
      kind: ValueError,
      says: [`"${name}"`],
    },
    {
      id: 'B23',
      what: `the dtype ${name}`,
      bad: () => input({ shape: [1], dtype: as(name) }),
      kind: ValueError,
      says: [`"${name}"`],
    },
    {
      id: 'B23',
      what: `the layer dtype ${name}`,
      bad: () => dense(1, { dtype: as(name) }),
      kind: ValueError,
      says: [`"${name}"`],
    },
  ]),
  {
    id: 'B24',
    what: 'an activation of a million characters',
    bad: () => activation(as('r'.repeat(1e6))),
    kind: ValueError,
    says: ['…'],
  },
  {
    id: 'B24',
    what: 'an option of a million characters',
    bad: () => dense(1, as({ ['o'.repeat(1e6)]: 1 })),
    kind: ValueError,
    says: ['…'],
  },
  {
    id: 'B24',
    what: 'a name of a million characters',
    bad: () => dense(1, { name: 'n'.repeat(1e6) }),
    kind: ValueError,
    says: ['1000000'],
  },
  {
    id: 'B25',
    what: 'a shared layer on another width',
    bad: () => {
      const shared = dense(3, { name: 'shared' })
      shared(x(5))
      return () => shared(input({ shape: [7], name: 'wide' }))
    },
    isPrepared: true,
    kind: ShapeError,
    says: ['shared (Dense)', 'expected last axis 5 (from build), got [null,7] from "wide"'],
  },
  {
    id: 'B32',
    what: 'a call that throws',
    bad: () => used(new Bad({ name: 'bad' })),
    kind: RangeError,
    says: ['bad (Bad): deep inside'],
  },
  {
    id: 'B32',
    what: 'a lambda that throws',
    bad: () => used(lambda((t) => t.matmul(t))),
    kind: ShapeError,
    says: ['lambda (Lambda): matmul', '[null,5]'],
  },
  {
    id: 'B32',
    what: 'a call that gives another shape than its lambda says',
    bad: () => used(lambda((t) => t.sum(1), { outputShape: [5] })(tensor([[1, 2]]))),
    kind: ShapeError,
    says: ['lambda (Lambda)', '[1]', '[null,5]'],
  },
  ...[[-1], [1.5], [NaN], ['2'], [undefined]].map((shape): Row => ({
    id: 'input',
    what: `an input of shape [${String(shape[0])}]`,
    bad: () => input({ shape: as(shape) }),
    kind: ShapeError,
    says: ['side 0'],
  })),
  {
    id: 'input',
    what: 'an input without a shape',
    bad: () => input(as({ name: 'a' })),
    kind: ShapeError,
    says: ['input "a"'],
  },
  { id: 'input', what: 'an input of a number', bad: () => input(as(3)), kind: ValueError, says: ['3'] },
]

let standing: Model

beforeEach(() => {
  setSeed(11)
  const a = input({ shape: [5], name: 'a' })
  const ids = input({ shape: [1], name: 'ids' })
  standing = model({
    inputs: { a, ids },
    outputs: dense(2, { name: 'out' })(concatenate([dense(3)(a), flatten()(embedding(4, 2)(ids))])),
  })
})

/** What the next layers and calls give: the same whether or not something failed before. */
function whatFollows(): unknown {
  const a = input({ shape: [5] })
  const layer = dense(2)
  const m = model({ inputs: a, outputs: dropout(0.5)(layer(a)) })
  const values = m(tensor([[1, 2, 3, 4, 5]]), { training: true })
  return [m.layers.map((l) => m.nameOf(l)), layer.getWeights().map((w) => w.arraySync()), values.arraySync()]
}

function errorOf(f: () => unknown): Error {
  try {
    f()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

describe.each(table)('$id: $what', ({ bad, isPrepared, kind, says }) => {
  it('is refused in words, early, and changes nothing', () => {
    const call = isPrepared === true ? (bad() as () => unknown) : bad
    const before = stateOf(standing)
    setSeed(11)
    const expected = whatFollows()
    setSeed(11)
    const started = performance.now()
    const error = errorOf(call)
    // B24 allows 50 ms on a quiet machine.
    expect(performance.now() - started).toBeLessThan(500)
    const kinds: readonly ErrorClass[] = Array.isArray(kind) ? (kind as ErrorClass[]) : [kind as ErrorClass]
    expect(kinds.some((k) => error instanceof k)).toBe(true)
    for (const part of says)
      expect(error.message).toMatch(typeof part === 'string' ? new RegExp(escaped(part)) : part)
    expect(error.message.length).toBeLessThan(800)
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(error.message).not.toMatch(/[\u0000-\u0008\u001b\u202e]/)
    expect({ ...(stateOf(standing) as object), random: 0 }).toEqual({ ...(before as object), random: 0 })
    expect(whatFollows()).toEqual(expected)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

describe('what is allowed', () => {
  it.each(['__proto__', 'constructor', 'toString', 'a/b', '../x', 'naïve 東京 😀', 'hasOwnProperty'])(
    'B02: a layer and an input named %s',
    (name) => {
      const a = input({ shape: [2], name })
      const y = dense(1, { name: `${name}!` })(a)
      const m = model({ inputs: [a], outputs: [y] })
      expect(m.getLayer(name)).toBe(m.layers[0])
      expect(m.nameOf(m.layers[0]!)).toBe(name)
      expect((m([tensor([[1, 2]])])[0] as Tensor).shape).toEqual([1, 1])
    },
  )

  it('B04: a cycle cannot be made: tensors are never changed, and a layer called again gives another one', () => {
    const a = input({ shape: [2] })
    const layer = dense(2)
    const first = layer(a)
    const second = layer(first)
    expect(second).not.toBe(first)
    expect(model({ inputs: a, outputs: layer(second) })(tensor([[1, 2]])).shape).toEqual([1, 2])
  })

  it('B06: an input that no output needs is part of the model, and its data is asked for', () => {
    const a = input({ shape: [2], name: 'a' })
    const b = input({ shape: [2], name: 'b' })
    const m = model({ inputs: { a, b }, outputs: dense(1)(a) })
    expect(m.layers.map((layer) => layer.name)).toContain('b')
    expect(() => m({ a: tensor([[1, 2]]) } as never)).toThrow(/input "b"/)
  })

  it('B08: a tensor twice among the outputs', () => {
    const a = input({ shape: [2] })
    const y = dense(1)(a)
    expect(model({ inputs: a, outputs: [y, y] })(tensor([[1, 2]])).length).toBe(2)
  })

  it('B26: a layer in two models works in both', () => {
    const a = input({ shape: [2] })
    const shared = dense(1)
    const one = model({ inputs: a, outputs: shared(a) })
    const two = model({ inputs: a, outputs: shared(shared(a).mul(tensor([[1, 1]]))) })
    expect(two.weights).toEqual(one.weights)
  })

  it('B27: weights are set all or not at all', () => {
    const before = standing.getWeights().map((w) => w.arraySync())
    const values = standing.getWeights()
    for (const [bad, message] of [
      [values.slice(1), /5 weights|has 5|got 4/],
      [[...values.slice(0, -1), tensor([1, 2, 3])], /setWeights: .*bias.*expected \[2\], got \[3\]/],
      [[...values.slice(0, -1), 'x'], /setWeights/],
      [null, /null/],
    ] as const) {
      expect(() => {
        standing.setWeights(bad as never)
      }).toThrow(message)
      expect(standing.getWeights().map((w) => w.arraySync())).toEqual(before)
    }
  })
})

describe('large graphs', () => {
  it('B30: a chain of 10 000 layers is built, runs and is differentiated', { timeout: 30_000 }, () => {
    const a = input({ shape: [2] })
    let h: Sym.Num = a
    for (let i = 0; i < 10_000; i++)
      h = i % 1000 === 0 ? dense(2, { activation: 'tanh' })(h) : activation('tanh')(h)
    const m = model({ inputs: a, outputs: h })
    expect(m.layers.length).toBe(10_001)
    expect(m.nameOf(m.layers[10_000]!)).toBe('activation_9989')
    const { value, grads } = valueAndGrads(
      () => (m(tensor([[0.5, -0.5]])) as Tensor).sum(),
      m.trainableVariables,
    )
    expect(Number.isFinite(value.itemSync())).toBe(true)
    expect(grads.length).toBe(20)
    const text: string[] = []
    m.summary({ printFn: (line) => text.push(line) })
    expect(text.length).toBeGreaterThan(10_000)
  })

  it('B31: 2^30 paths through 30 diamonds take linear time', () => {
    const a = input({ shape: [1] })
    const w = dense(1, { kernelInitializer: 'ones', useBias: false })
    let h: Sym.Num = w(a)
    for (let i = 0; i < 30; i++) h = add([h, h])
    const m = model({ inputs: a, outputs: h })
    expect(m.layers.length).toBe(32)
    const { value, grads } = valueAndGrads(() => (m(tensor([[1]])) as Tensor).sum(), m.trainableVariables)
    expect(value.itemSync()).toBe(2 ** 30)
    expect(grads[0]!.itemSync()).toBe(2 ** 30)
  })

  it('a model of 2000 inputs is built and called', () => {
    const inputs = Array.from({ length: 2000 }, () => input({ shape: [1] }))
    const m = model({ inputs, outputs: concatenate()(inputs) })
    expect((m(inputs.map(() => tensor([[1]]))) as Tensor).shape).toEqual([1, 2000])
  })

  it('models nest 200 deep', () => {
    let inner: Model | undefined
    for (let i = 0; i < 200; i++) {
      const a = input({ shape: [2] })
      inner = model({ inputs: a, outputs: (inner === undefined ? dense(2)(a) : inner(a)) as Sym.Num })
    }
    expect((inner!(tensor([[1, 2]])) as Tensor).shape).toEqual([1, 2])
    expect(inner!.weights.length).toBe(2)
  })
})
