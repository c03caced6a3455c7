import { concatenate, dense, input, model, type Model, type Tensor } from '@adjoint/layers'
import { describe, expect, test } from 'vitest'
import { lcgMatrix, lcgWeights } from '../support/lcg.js'
import { readOracle } from '../support/oracles.js'

type Nest = number | readonly Nest[]
interface Recording {
  readonly history: Readonly<Record<string, readonly number[]>>
  readonly evaluate: Readonly<Record<string, number>>
  readonly predict_first3: readonly Nest[]
  readonly params: number
  readonly summary_76: string
  readonly summary_108: string
  readonly summary_76_after_fit: string
}

const recordings =
  readOracle<Readonly<Record<'multi_input_1' | 'multi_output_3', Recording>>>('keras-seeds.json')

const X1 = lcgMatrix(100, 10, 1)
const X2 = lcgMatrix(100, 5, 2)
const y = lcgMatrix(100, 1, 3)
const ya = lcgMatrix(100, 1, 7)
const yb = lcgMatrix(100, 1, 5, (value) => Math.floor(2 * value))
const yc = lcgMatrix(100, 1, 8, (value) => Math.floor(5 * value)).map(([label]) =>
  [0, 1, 2, 3, 4].map((k) => (k === label ? 1 : 0)),
)

/** Two inputs, concatenated. */
function multiInput(): Model {
  const a = input({ shape: [10], name: 'input_1' })
  const b = input({ shape: [5], name: 'input_2' })
  const merged = concatenate()([dense(64, { activation: 'relu' })(a), dense(32, { activation: 'relu' })(b)])
  return model({ inputs: [a, b], outputs: dense(1, { activation: 'linear' })(merged) }).compile({
    optimizer: 'adam',
    loss: 'mse',
  })
}

/** Three outputs that leave the trunk at different heights. */
function multiOutput(): Model {
  const x = input({ shape: [10] })
  const first = dense(128, { activation: 'relu' })(x)
  const second = dense(64, { activation: 'relu' })(first)
  const third = dense(32, { activation: 'relu' })(second)
  const a = dense(1)(second)
  const b = dense(1, { activation: 'sigmoid' })(third)
  const c = dense(5, { activation: 'softmax' })(concatenate([second, third]))
  return model({ inputs: x, outputs: [a, b, c] }).compile({
    optimizer: 'adam',
    loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'],
  })
}

function summaryOf(m: Model, lineLength: number): string {
  const lines: string[] = []
  m.summary({ lineLength, printFn: (line) => lines.push(line) })
  return lines.join('\n')
}

/** Both ways of printing end a table differently: with or without empty lines. */
const trimmed = (text: string): string => text.trimEnd()

function expectNear(got: unknown, wanted: Nest, what: string): void {
  if (typeof wanted === 'number') {
    expect(Math.abs((got as number) - wanted), `${what}: ${String(got)}, want ${wanted}`).toBeLessThanOrEqual(
      1e-5,
    )
    return
  }
  wanted.forEach((part, i) => expectNear((got as unknown[])[i], part, `${what}[${i}]`))
}

describe.each([
  { name: 'multi_input_1' as const, make: multiInput, x: [X1, X2], y },
  { name: 'multi_output_3' as const, make: multiOutput, x: X1, y: [ya, yb, yc] },
])('Keras recorded of $name', ({ name, make, x, y: targets }) => {
  const recorded = recordings[name]
  const start = (): Model => {
    const m = make()
    m.setWeights(lcgWeights(m.weights.map((w) => w.shape)))
    return m
  }

  test('the number of parameters and the summary before training', () => {
    const m = start()
    expect(m.countParams()).toBe(recorded.params)
    expect(trimmed(summaryOf(m, 76))).toBe(trimmed(recorded.summary_76))
    expect(trimmed(summaryOf(m, 108))).toBe(trimmed(recorded.summary_108))
  })

  test('history, evaluation, predictions and the summary after training', async () => {
    const m = start()
    const { history } = await m.fit(x, targets, { epochs: 5, batchSize: 32, shuffle: false, verbose: 0 })
    expect(new Set(Object.keys(history))).toEqual(new Set(Object.keys(recorded.history)))
    for (const [log, values] of Object.entries(recorded.history)) expectNear(history[log], values, log)
    const measured = await m.evaluate(x, targets)
    expect(new Set(Object.keys(measured))).toEqual(new Set(Object.keys(recorded.evaluate)))
    for (const [log, value] of Object.entries(recorded.evaluate)) expectNear(measured[log], value, log)
    const predicted: unknown = await m.predict(x)
    const outputs = (Array.isArray(predicted) ? predicted : [predicted]) as Tensor[]
    outputs.forEach((output, i) =>
      expectNear(output.arraySync(), recorded.predict_first3[i]!, `prediction ${i}`),
    )
    expect(trimmed(summaryOf(m, 76))).toBe(trimmed(recorded.summary_76_after_fit))
  })
})
