import {
  DataError,
  dense,
  DTypeError,
  embedding,
  flatten,
  input,
  concatenate,
  model,
  type Model,
  NonFiniteError,
  setSeed,
  ShapeError,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/layers'
import { beforeEach, describe, expect, test } from 'vitest'
import { stateOf } from '../support/state.js'

// Section D of test/oracles/hostile.md: bad data for fit, evaluate and predict. After each error the weights, the
// optimizer and the random numbers are as before, and the next good call gives what it would have given anyway.

type Data = Readonly<Record<string, unknown>>
type ErrorClass = abstract new (...args: never[]) => Error

const ROWS = 12
const matrix = (columns: number, f: (row: number, column: number) => unknown): unknown[][] =>
  Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: columns }, (_unused, column) => f(row, column)),
  )
const number = (row: number, column: number): number => Math.sin(row * 7 + column)

/** Good data: numbers, ids; a number, a probability, a class. */
const X = { num: matrix(4, number) as number[][], id: matrix(1, (row) => row % 5) as number[][] }
const Y = {
  A: matrix(1, number) as number[][],
  B: matrix(1, (row) => row % 2) as number[][],
  C: Array.from({ length: ROWS }, (_, row) => row % 3),
}

/** `data` with the value at one place replaced. */
function spoilt(data: readonly unknown[][], row: number, column: number, value: unknown): unknown[][] {
  return data.map((values, i) => (i === row ? values.with(column, value) : values))
}

function build(): Model {
  const num = input({ shape: [4], name: 'num' })
  const id = input({ shape: [1], name: 'id' })
  const trunk = dense(6, { activation: 'tanh' })(
    concatenate([num, flatten()(embedding(5, 2, { name: 'table' })(id))]),
  )
  const m: Model = model({
    inputs: { num, id },
    outputs: {
      A: dense(1)(trunk),
      B: dense(1, { activation: 'sigmoid' })(trunk),
      C: dense(3, { activation: 'softmax' })(trunk),
    },
  })
  return m.compile({
    optimizer: 'adam',
    loss: { A: 'mse', B: 'binary_crossentropy', C: 'sparse_categorical_crossentropy' } as never,
    metrics: { C: ['accuracy'] } as never,
  })
}

interface Entry {
  readonly id: string
  readonly what: string
  readonly x?: Data | unknown[] | null
  readonly y?: Data | unknown[] | null
  readonly options?: Data
  readonly error: ErrorClass
  readonly says: RegExp
}

const x = (part: Data): Data => ({ ...X, ...part })
const y = (part: Data): Data => ({ ...Y, ...part })
class Odd {}
const HOLED = Object.assign(new Array<number>(4), { 0: 1, 2: 3, 3: 4 })
const detached = new Float32Array(ROWS)
structuredClone(detached.buffer, { transfer: [detached.buffer] })

const entries: readonly Entry[] = [
  {
    id: 'D01',
    what: 'a missing input',
    x: { num: X.num },
    error: DataError,
    says: /no data for input "id".*num, id/,
  },
  {
    id: 'D01',
    what: 'null for an input',
    x: x({ id: null }),
    error: DataError,
    says: /no data for input "id"/,
  },
  { id: 'D01', what: 'undefined for an input', x: x({ id: undefined }), error: DataError, says: /"id"/ },
  {
    id: 'D01',
    what: 'no data at all',
    x: null,
    error: DataError,
    says: /record with keys num, id, got null/,
  },
  { id: 'D01', what: 'inherited data', x: Object.create(X) as Data, error: DataError, says: /num, id/ },
  {
    id: 'D02',
    what: 'an extra input',
    x: x({ c: [1] }),
    error: DataError,
    says: /unexpected input "c".*num, id/,
  },
  {
    id: 'D02',
    what: 'an input called __proto__',
    x: JSON.parse(`{"num": [[1]], "id": [[1]], "__proto__": {"polluted": 1}}`) as Data,
    error: DataError,
    says: /unexpected input "?__proto__/,
  },
  {
    id: 'D03',
    what: 'a misspelt input',
    x: { numm: X.num, id: X.id },
    error: DataError,
    says: /no data for input "num"; got keys numm, id.* Did you mean "num"\?/,
  },
  {
    id: 'D04',
    what: 'a list for a record',
    x: [X.num, X.id],
    error: DataError,
    says: /record with keys num, id/,
  },
  { id: 'D04', what: 'one array for a record', x: X.num, error: DataError, says: /record with keys num, id/ },
  {
    id: 'D05',
    what: 'inputs of different lengths',
    x: x({ num: X.num.slice(1) }),
    error: DataError,
    says: /input "num" has 11 rows and input "id" has 12/,
  },
  {
    id: 'D06',
    what: 'targets of another length',
    y: y({ A: Y.A.slice(1) }),
    error: DataError,
    says: /input "num" has 12 rows and target "A" has 11/,
  },
  {
    id: 'D07',
    what: 'a missing target',
    y: { A: Y.A, B: Y.B },
    error: DataError,
    says: /no data for target "C".*A, B, C/,
  },
  {
    id: 'D07',
    what: 'a misspelt target',
    y: { A: Y.A, B: Y.B, c: Y.C },
    error: DataError,
    says: /target "C".*Did you mean "C"/,
  },
  {
    id: 'D08',
    what: 'rows too short',
    x: x({ num: matrix(3, number) }),
    error: ShapeError,
    says: /"num": expected \[null,4\], got \[12,3\]/,
  },
  {
    id: 'D08',
    what: 'a tensor of another rank',
    x: x({ num: tensor(new Float32Array(48), { shape: [12, 2, 2] }) }),
    error: ShapeError,
    says: /"num": expected \[null,4\], got \[12,2,2\]/,
  },
  {
    id: 'D08',
    what: 'a flat array',
    x: x({ num: new Float32Array(48) }),
    error: ShapeError,
    says: /\[null,4\], got \[48\]/,
  },
  {
    id: 'D11',
    what: 'targets too wide',
    y: y({ A: matrix(3, number) }),
    error: ShapeError,
    says: /target "A": expected \[null,1\], got \[12,3\]/,
  },
  {
    id: 'D11',
    what: 'one-hot targets for class numbers',
    y: y({ C: matrix(3, (row, k) => Number(row % 3 === k)) }),
    error: ShapeError,
    says: /target "C".*did you mean categorical_crossentropy/,
  },
  {
    id: 'D12',
    what: 'a ragged row',
    x: x({ num: X.num.with(3, [1, 2, 3]) }),
    error: ShapeError,
    says: /"num" is ragged: row 3 has length 3, the first has 4/,
  },
  {
    id: 'D12',
    what: 'a number for a row',
    x: x({ num: X.num.with(3, 5 as never) }),
    error: ShapeError,
    says: /"num".*row 3 holds 5/,
  },
  {
    id: 'D12',
    what: 'a list for a number',
    x: x({ num: spoilt(X.num, 3, 1, [1]) }),
    error: ShapeError,
    says: /"num".*row 3/,
  },
  ...(
    [
      ['a string', '1', /got string \("1"\) at row 3, column 2/],
      ['null', null, /got null at row 3, column 2/],
      ['undefined', undefined, /got undefined at row 3, column 2/],
      ['a Date', new Date(0), /got Date .* at row 3, column 2/],
      ['a bigint', 1n, /got bigint \(1n\) at row 3, column 2/],
      ['an object', new Odd(), /got Odd .* at row 3, column 2/],
      ['a symbol', Symbol('x'), /got symbol .*at row 3, column 2/],
      ['a function', () => 1, /got function .*at row 3, column 2/],
    ] as const
  ).map(([what, value, says]): Entry => ({
    id: 'D13',
    what,
    x: x({ num: spoilt(X.num, 3, 2, value) }),
    error: DTypeError,
    says,
  })),
  {
    id: 'D13',
    what: 'a hole',
    x: x({ num: X.num.with(3, HOLED) }),
    error: DTypeError,
    says: /undefined at row 3, column 1/,
  },
  {
    id: 'D13',
    what: 'null for a row',
    x: x({ num: X.num.with(3, null as never) }),
    error: DTypeError,
    says: /expected a list, got null at row 3/,
  },
  {
    id: 'D13',
    what: 'a string for an array',
    x: x({ num: 'num' }),
    error: DTypeError,
    says: /"num" must be an array or a tensor, got string/,
  },
  {
    id: 'D13',
    what: 'a record for an array',
    x: x({ num: { a: 1 } }),
    error: DataError,
    says: /"num" must be an array or a tensor/,
  },
  {
    id: 'D13',
    what: 'big integers',
    x: x({ id: new BigInt64Array(12) }),
    error: DTypeError,
    says: /"id".*BigInt64Array/,
  },
  {
    id: 'D13',
    what: 'a string tensor',
    x: x({ id: tensor(X.id.map(String), { dtype: 'string' }) }),
    error: DTypeError,
    says: /"id" expects float32, got a string tensor/,
  },
  {
    id: 'D13',
    what: 'a symbolic tensor',
    x: x({ num: input({ shape: [4] }) }),
    error: DataError,
    says: /symbolic/,
  },
  {
    id: 'D14',
    what: 'NaN in an input',
    x: x({ num: spoilt(X.num, 5, 1, NaN) }),
    error: NonFiniteError,
    says: /input "num" holds NaN at row 5, column 1/,
  },
  {
    id: 'D14',
    what: 'Infinity in an input',
    x: x({ num: spoilt(X.num, 5, 1, -Infinity) }),
    error: NonFiniteError,
    says: /-Infinity at row 5, column 1/,
  },
  {
    id: 'D14',
    what: 'a number beyond float32',
    x: x({ num: spoilt(X.num, 5, 1, 1e300) }),
    error: NonFiniteError,
    says: /Infinity at row 5, column 1/,
  },
  {
    id: 'D15',
    what: 'NaN in a target',
    y: y({ A: spoilt(Y.A, 5, 0, NaN) }),
    error: NonFiniteError,
    says: /target "A" holds NaN at row 5/,
  },
  {
    id: 'D15',
    what: 'null in a target',
    y: y({ A: spoilt(Y.A, 5, 0, null) }),
    error: DTypeError,
    says: /target "A".*null at row 5/,
  },
  {
    id: 'D15',
    what: 'NaN in weights',
    options: { sampleWeight: { A: new Array(ROWS).fill(1).with(2, NaN) } },
    error: NonFiniteError,
    says: /sampleWeight of "A" holds NaN at row 2/,
  },
  {
    id: 'D16',
    what: 'no rows',
    x: { num: [], id: [] },
    y: { A: [], B: [], C: [] },
    error: DataError,
    says: /no rows/,
  },
  {
    id: 'D37',
    what: 'a detached array',
    x: x({ id: detached }),
    error: ValueError,
    says: /input "id" is detached/,
  },
  ...[3, -1, 1.5, NaN, 1e12].map((label): Entry => ({
    id: 'D23',
    what: `the class ${label}`,
    y: y({ C: Y.C.with(4, label) }),
    error: ValueError,
    says: /target "C": label \S+ at row 4 is none of the classes 0\.\.2/,
  })),
  ...[5, -1].map((value): Entry => ({
    id: 'D25',
    what: `the probability ${value}`,
    y: y({ B: spoilt(Y.B, 4, 0, value) }),
    error: ValueError,
    says: new RegExp(`target "B": ${value} at row 4.*outside of 0\\.\\.1`),
  })),
  ...[5, -1, 2.5, NaN, 1e12].map((id): Entry => ({
    id: 'D26',
    what: `the id ${id}`,
    x: x({ id: spoilt(X.id, 7, 0, id) }),
    error: ValueError,
    says: /input "id": id \S+ at row 7.*table \(Embedding\).*0\.\.4/,
  })),
  {
    id: 'D27',
    what: 'too few weights',
    options: { sampleWeight: { A: [1, 2] } },
    error: DataError,
    says: /sampleWeight of "A" has 2/,
  },
  {
    id: 'D27',
    what: 'a negative weight',
    options: { sampleWeight: { A: new Array(ROWS).fill(1).with(2, -1) } },
    error: ValueError,
    says: /sampleWeight of "A" is -1 at row 2/,
  },
  {
    id: 'D27',
    what: 'weights for no output',
    options: { sampleWeight: { a: new Array(ROWS).fill(1) } },
    error: ValueError,
    says: /no output "a".*Did you mean "A"/,
  },
  {
    id: 'D27',
    what: 'a weight in words',
    options: { sampleWeight: { A: new Array(ROWS).fill('1') } },
    error: DTypeError,
    says: /sampleWeight of "A"/,
  },
]

const fitOnly: readonly Entry[] = [
  ...[0, -1, 1.5, NaN, '32', Infinity, null].map((batchSize): Entry => ({
    id: 'D17',
    what: `batchSize ${String(batchSize)}`,
    options: { batchSize },
    error: ValueError,
    says: /batchSize must be/,
  })),
  ...[-1, 1.5, NaN, '3', Infinity].map((epochs): Entry => ({
    id: 'D19',
    what: `epochs ${String(epochs)}`,
    options: { epochs },
    error: ValueError,
    says: /epochs must be/,
  })),
  ...[-1, 0.5].map((initialEpoch): Entry => ({
    id: 'D19',
    what: `initialEpoch ${initialEpoch}`,
    options: { initialEpoch },
    error: ValueError,
    says: /initialEpoch/,
  })),
  ...[1, 1.5, -0.1, NaN].map((validationSplit): Entry => ({
    id: 'D20',
    what: `validationSplit ${validationSplit}`,
    options: { validationSplit },
    error: ValueError,
    says: /validationSplit must be in the range \[0, 1\)/,
  })),
  {
    id: 'D20',
    what: 'a split that leaves nothing',
    options: { validationSplit: 0.99 },
    error: ValueError,
    says: /0\.99 of 12 rows leaves 0/,
  },
  {
    id: 'D20',
    what: 'a split of nothing',
    options: { validationSplit: 1e-20 },
    error: ValueError,
    says: /leaves 12 to train on/,
  },
  {
    id: 'D21',
    what: 'validation data without targets',
    options: { validationData: [X] },
    error: DataError,
    says: /validationData must be \[x, y\]/,
  },
  {
    id: 'D21',
    what: 'validation data that lack an input',
    options: { validationData: [{ num: X.num }, Y] },
    error: DataError,
    says: /validationData: no data for input "id"/,
  },
  {
    id: 'D21',
    what: 'validation data of another width',
    options: { validationData: [x({ num: [[1]] }), Y] },
    error: ShapeError,
    says: /validationData: input "num"/,
  },
  {
    id: 'D21',
    what: 'a split and data',
    options: { validationData: [X, Y], validationSplit: 0.5 },
    error: ValueError,
    says: /not both/,
  },
  {
    id: 'D22',
    what: 'an unknown option',
    options: { batchsize: 4 },
    error: ValueError,
    says: /"batchsize".*Did you mean "batchSize"/,
  },
  { id: 'D22', what: 'verbose 3', options: { verbose: 3 }, error: ValueError, says: /verbose must be/ },
  {
    id: 'D22',
    what: 'shuffle in words',
    options: { shuffle: 'yes' },
    error: ValueError,
    says: /shuffle must be/,
  },
  {
    id: 'D28',
    what: 'a weight for an unknown class',
    options: { classWeight: { C: { 0: 1, 1: 1, 2: 1, 7: 1 } } },
    error: ValueError,
    says: /classWeight of "C".*"7".*0\.\.2/,
  },
  {
    id: 'D28',
    what: 'a class without a weight',
    options: { classWeight: { C: { 0: 1, 1: 1 } } },
    error: ValueError,
    says: /classWeight of "C": class 2 \(row 2\) has no weight/,
  },
  {
    id: 'D28',
    what: 'a negative class weight',
    options: { classWeight: { C: { 0: 1, 1: 1, 2: -1 } } },
    error: ValueError,
    says: /class 2.*-1/,
  },
  {
    id: 'D28',
    what: 'class weights of what has no classes',
    options: { classWeight: { A: { 0: 1 } } },
    error: ValueError,
    says: /classWeight of "A"/,
  },
  {
    id: 'D34',
    what: 'a signal that is none',
    options: { signal: 'stop' },
    error: ValueError,
    says: /signal must be/,
  },
  {
    id: 'D31',
    what: 'a callback that is a function',
    options: { callbacks: [() => 1] },
    error: ValueError,
    says: /callback 0 must be an object/,
  },
]

let m: Model
beforeEach(async () => {
  setSeed(5)
  m = build()
  await m.fit(X, Y, { epochs: 1, batchSize: 5, verbose: 0 })
})

/** The call fails as it should, changes nothing, and what follows is as if it had not been. */
async function refused(call: () => Promise<unknown>, { error, says }: Entry): Promise<void> {
  const before = stateOf(m)
  const failure: unknown = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(failure).toBeInstanceOf(error)
  expect((failure as Error).message).toMatch(says)
  expect((failure as Error).message.length).toBeLessThan(600)
  expect(stateOf(m)).toEqual(before)
  expect(({} as Data)['polluted']).toBeUndefined()
}

test.each([...entries, ...fitOnly])('fit: $id $what', async (entry) => {
  const { x: badX = X, y: badY = Y, options = {} } = entry
  await refused(() => m.fit(badX as never, badY as never, { verbose: 0, ...options }), entry)
})

describe('after a refusal', () => {
  test.each(['D03', 'D14', 'D23', 'D27', 'D28'])(
    'the next good call gives the same as without it: %s',
    async (id) => {
      const entry = [...entries, ...fitOnly].find((candidate) => candidate.id === id)!
      const again = async (): Promise<unknown> => {
        const { history } = await m.fit(X, Y, { epochs: 2, batchSize: 5, verbose: 0, validationSplit: 0.25 })
        return [history, stateOf(m)]
      }
      const { x: badX = X, y: badY = Y, options = {} } = entry
      await refused(() => m.fit(badX as never, badY as never, { verbose: 0, ...options }), entry)
      const after = await again()
      setSeed(5)
      m = build()
      await m.fit(X, Y, { epochs: 1, batchSize: 5, verbose: 0 })
      expect(after).toEqual(await again())
    },
  )
})

test.each(entries.filter(({ options }) => options === undefined || 'sampleWeight' in options))(
  'evaluate: $id $what',
  async (entry) => {
    const { x: badX = X, y: badY = Y, options = {} } = entry
    await refused(() => m.evaluate(badX as never, badY as never, options), entry)
  },
)

test.each(entries.filter((entry) => 'x' in entry && !['D06', 'D16'].includes(entry.id)))(
  'predict: $id $what',
  async (entry) => refused(() => m.predict(entry.x as never), entry),
)

test.each(entries.filter((entry) => 'x' in entry || 'y' in entry))(
  'trainOnBatch: $id $what',
  async (entry) => {
    const { x: badX = X, y: badY = Y } = entry
    await refused(() => m.trainOnBatch(badX as never, badY as never), entry)
  },
)

test('D16: predicting nothing gives nothing, in the shape of the outputs', async () => {
  const out = (await m.predict({ num: [], id: [] })) as Record<string, Tensor>
  expect(Object.entries(out).map(([key, { shape }]) => [key, shape])).toEqual([
    ['A', [0, 1]],
    ['B', [0, 1]],
    ['C', [0, 3]],
  ])
})

test('D27: weights of zero give a loss of zero, not NaN', async () => {
  const zero = new Array(ROWS).fill(0)
  const { history } = await m.fit(X, Y, {
    verbose: 0,
    sampleWeight: { A: zero, B: zero, C: zero },
  })
  expect(history.loss).toEqual([0])
  expect(history['C_loss']).toEqual([0])
})

test('D36: a tensor that was disposed is refused by name', async () => {
  const gone = tensor(X.num)
  gone.dispose()
  await expect(m.fit({ num: gone, id: X.id }, Y, { verbose: 0 })).rejects.toThrow(/disposed/)
})
