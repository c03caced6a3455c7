import {
  activation,
  dense,
  input,
  inputLayer,
  model,
  type Model,
  sequential,
  type SummaryOptions,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'
import { siamese } from '../support/models.js'

// The three texts were printed by Keras 3.15.1 for the same models.

function summaryOf(m: Model, options: SummaryOptions): string {
  const lines: string[] = []
  m.summary({ ...options, printFn: (line) => lines.push(line) })
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

/** A frozen layer in a model in a model. */
function nestedTwice(): Model {
  const frozen = dense(2, { name: 'p', trainable: false })
  const inner = sequential([inputLayer({ shape: [3] }), frozen], { name: 'inner' })
  const midIn = input({ shape: [3], name: 'mid_in' })
  const mid = model({ inputs: midIn, outputs: dense(1, { name: 'q' })(inner(midIn)), name: 'mid' })
  const x = input({ shape: [3], name: 'x' })
  return model({ inputs: x, outputs: activation('relu', { name: 'act' })(mid(x)), name: 'outer' })
}

describe('the summary is the one Keras prints', () => {
  test('of models inside a model, one of them frozen', () => {
    expect(summaryOf(siamese(), { expandNested: true, showTrainable: true, lineLength: 100 }))
      .toBe(`Model: "siamese"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━┓
┃ Layer (type)             ┃ Output Shape         ┃       Param # ┃ Connected to         ┃ Traina… ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━┩
│ left (InputLayer)        │ (None, 4)            │             0 │ -                    │    -    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│ right (InputLayer)       │ (None, 4)            │             0 │ -                    │    -    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│ encoder (Functional)     │ (None, 2)            │            58 │ left[0][0],          │    N    │
│                          │                      │               │ right[0][0]          │         │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ features            │ (None, 4)            │             0 │ -                    │    -    │
│ (InputLayer)             │                      │               │                      │         │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ hidden (Dense)      │ (None, 8)            │            40 │ -                    │    N    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ drop (Dropout)      │ (None, 8)            │             0 │ -                    │    -    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ code (Dense)        │ (None, 2)            │            18 │ -                    │    N    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│ difference (Subtract)    │ (None, 2)            │             0 │ encoder[0][0],       │    -    │
│                          │                      │               │ encoder[1][0]        │         │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│ head (Sequential)        │ (None, 1)            │            13 │ difference[0][0]     │    Y    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ first (Dense)       │ (None, 3)            │             9 │ -                    │    Y    │
├──────────────────────────┼──────────────────────┼───────────────┼──────────────────────┼─────────┤
│    └ last (Dense)        │ (None, 1)            │             4 │ -                    │    Y    │
└──────────────────────────┴──────────────────────┴───────────────┴──────────────────────┴─────────┘
 Total params: 71 (284.00 B)
 Trainable params: 13 (52.00 B)
 Non-trainable params: 58 (232.00 B)
`)
  })

  test('of a model in a model in a model', () => {
    expect(summaryOf(nestedTwice(), { expandNested: true, showTrainable: true, lineLength: 80 }))
      .toBe(`Model: "outer"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┳━━━━━━━┓
┃ Layer (type)                  ┃ Output Shape           ┃     Param # ┃ Trai… ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━╇━━━━━━━┩
│ x (InputLayer)                │ (None, 3)              │           0 │   -   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│ mid (Functional)              │ (None, 1)              │          11 │   Y   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│    └ mid_in (InputLayer)      │ (None, 3)              │           0 │   -   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│    └ inner (Sequential)       │ (None, 2)              │           8 │   Y   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│       └ p (Dense)             │ (None, 2)              │           8 │   N   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│    └ q (Dense)                │ (None, 1)              │           3 │   Y   │
├───────────────────────────────┼────────────────────────┼─────────────┼───────┤
│ act (Activation)              │ (None, 1)              │           0 │   -   │
└───────────────────────────────┴────────────────────────┴─────────────┴───────┘
 Total params: 11 (44.00 B)
 Trainable params: 3 (12.00 B)
 Non-trainable params: 8 (32.00 B)
`)
  })

  test('of a range of layers', () => {
    expect(summaryOf(siamese(), { layerRange: ['right', 'difference'], lineLength: 90 }))
      .toBe(`Model: "siamese"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)             ┃ Output Shape         ┃      Param # ┃ Connected to          ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━┩
│ right (InputLayer)       │ (None, 4)            │            0 │ -                     │
├──────────────────────────┼──────────────────────┼──────────────┼───────────────────────┤
│ encoder (Functional)     │ (None, 2)            │           58 │ left[0][0],           │
│                          │                      │              │ right[0][0]           │
├──────────────────────────┼──────────────────────┼──────────────┼───────────────────────┤
│ difference (Subtract)    │ (None, 2)            │            0 │ encoder[0][0],        │
│                          │                      │              │ encoder[1][0]         │
└──────────────────────────┴──────────────────────┴──────────────┴───────────────────────┘
 Total params: 71 (284.00 B)
 Trainable params: 13 (52.00 B)
 Non-trainable params: 58 (232.00 B)
`)
  })
})

describe('a range of layers', () => {
  const rowsOf = (m: Model, layerRange: NonNullable<SummaryOptions['layerRange']>): string[] =>
    [...summaryOf(m, { layerRange, lineLength: 120 }).matchAll(/^│ (\w+) \(/gm)].map(([, name]) => name!)

  test('may be given from its end, and by patterns', () => {
    expect(rowsOf(siamese(), ['difference', 'right'])).toEqual(['right', 'encoder', 'difference'])
    expect(rowsOf(siamese(), [/^(left|right)$/g, /^enc/])).toEqual(['left', 'right', 'encoder'])
  })

  test('says when no layer is meant', () => {
    expect(() => rowsOf(siamese(), ['right', 'diference'])).toThrow(
      new ValueError('summary: layerRange: no layer "diference". Did you mean "difference"?'),
    )
    expect(() => rowsOf(siamese(), ['right', /^x/])).toThrow('no layer matches /^x/')
    expect(() => rowsOf(siamese(), ['right'] as never)).toThrow('layerRange must be [from, to]')
    expect(() => siamese().summary({ expandnested: true } as never)).toThrow('Did you mean "expandNested"?')
  })
})
