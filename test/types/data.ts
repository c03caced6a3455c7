// What the types of data say: batches of datasets are checked as arrays are, and rows give typed columns.
import {
  type CategoricalColumn,
  dataset,
  dense,
  fromRows,
  input,
  type Model,
  model,
  type NumericColumn,
  random,
  type TextColumn,
} from '@adjoint/layers'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <A, B>(_: Same<A, B>): void => undefined

const price = input({ shape: [10], name: 'price' })
const word = input({ shape: [1], dtype: 'string', name: 'word' })
const m = model({ inputs: { price, word }, outputs: { up: dense(1)(price), sum: dense(1)(price) } })
const single = model({ inputs: price, outputs: dense(1, { name: 'y' })(price) })
const x = random.uniform([8, 10])
const y = random.uniform([8, 1])
const good = [
  { price: x, word: ['a'] },
  { up: y, sum: y },
] as const

void m.fitDataset([good])
void m.fitDataset(() => [good], { epochs: 2, stepsPerEpoch: 3, validationData: async () => [good] })
void m.fitDataset([[...good, { up: [1] }] as const], { validationData: good, onDataError: 'keep' })
void m.evaluateDataset(new Set([good]), { steps: 1 })
void m.predictDataset([good[0]])
void m.predictDataset([good])
void single.fitDataset([[x, y]])
void single.fitDataset([[{ price: x }, { y }]])
void single.fitDataset(
  dataset([[[1, 2], 3] as const])
    .shuffle({ seed: 1 })
    .batch(2),
)
void (single as Model).fitDataset([[x, y]])

const w = ['a']
const up = { up: y, sum: y }
// @ts-expect-error a misspelt input
void m.fitDataset([[{ prize: x, word: w }, up]])
// @ts-expect-error a missing target
void m.fitDataset(() => [[{ price: x, word: w }, { up: y }]])
// @ts-expect-error numbers for strings
void m.fitDataset([[{ price: x, word: [1] }, up]])
// @ts-expect-error no targets
void single.fitDataset([[x]])
// @ts-expect-error one batch for a list of batches
void single.fitDataset([x, y])
// @ts-expect-error the dataset makes the batches
void single.fitDataset([[x, y]], { batchSize: 4 })
// @ts-expect-error a misspelt input to predict for
void m.predictDataset([{ prize: x, word: ['a'] }])
// @ts-expect-error a text for a column of numbers
void single.fit({ toArray: () => ['a'] }, y)

// Targets may be missing, inputs may not.
single.compile({ loss: 'mse', missingTargets: 'mask' })
m.compile({ loss: 'mse', missingTargets: { up: 'mask' } })
void single.fit(x, [1, null])
void single.fit(x, { toArray: () => [1, null] })
// @ts-expect-error missing targets of no output
m.compile({ loss: 'mse', missingTargets: { upp: 'mask' } })
// @ts-expect-error no choice
single.compile({ loss: 'mse', missingTargets: 'masked' })
// @ts-expect-error null in an input
void single.fit([[1, null]], y)

const rows = [{ age: 3, sex: 'f' as 'f' | 'm', note: 'x', ok: true, fare: null as number | null }]
const columns = fromRows(rows, {
  age: 'numeric',
  sex: 'categorical',
  words: { kind: 'text', from: 'note' },
  both: { kind: 'numeric', from: ['age', 'fare'], missing: 0 },
})
is<
  typeof columns,
  {
    readonly age: NumericColumn
    readonly sex: CategoricalColumn
    readonly words: TextColumn
    readonly both: NumericColumn
  }
>(true)
export const again: typeof columns = fromRows(rows, columns)
void m.predict({ price: columns.both, word: columns.words })
fromRows([] as Record<string, unknown>[], { anything: 'numeric' })
// @ts-expect-error a misspelt column
fromRows(rows, { agee: 'numeric' })
// @ts-expect-error a text is no number
fromRows(rows, { note: 'numeric' })
// @ts-expect-error a misspelt source
fromRows(rows, { n: { kind: 'text', from: 'nota' } })
// @ts-expect-error no kind
fromRows(rows, { age: 'number' })
// @ts-expect-error a column of numbers for texts
void m.predict({ price: columns.both, word: columns.age })
