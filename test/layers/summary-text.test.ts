import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { fixed } from '../../packages/layers/src/fixed.js'
import {
  bytesText,
  countText,
  shapesText,
  summaryText,
  type SummaryRow,
  type SummarySpec,
} from '../../packages/layers/src/summaryText.js'
import { cellWidth, renderTable } from '../../packages/layers/src/table.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const oracles = resolve(root, process.env['ADJOINT_ORACLES'] ?? 'test/oracles')

type Texts = Record<'summary_76' | 'summary_108' | 'summary_76_after_fit', string>
// The file is part of this repository; its field _how says how it was made.
const seeds = JSON.parse(readFileSync(resolve(oracles, 'keras-seeds.json'), 'utf8')) as Record<
  'multi_input_1' | 'multi_output_3',
  Texts
>

function row(
  name: string,
  className: string,
  shape: readonly (number | null)[],
  params: number,
  connectedTo = '-',
): SummaryRow {
  return {
    name,
    className,
    outputShape: shapesText([shape]),
    params: countText(params),
    connectedTo,
    trainable: params > 0 ? 'Y' : '-',
    nestedLevel: 0,
  }
}

const float32 = (count: number) => ({ count, bytes: 4 * count })

const multiInput: SummarySpec = {
  name: 'functional',
  rows: [
    row('input_1', 'InputLayer', [null, 10], 0),
    row('input_2', 'InputLayer', [null, 5], 0),
    row('dense', 'Dense', [null, 64], 704, 'input_1[0][0]'),
    row('dense_1', 'Dense', [null, 32], 192, 'input_2[0][0]'),
    row('concatenate', 'Concatenate', [null, 96], 0, 'dense[0][0], dense_1[0][0]'),
    row('dense_2', 'Dense', [null, 1], 97, 'concatenate[0][0]'),
  ],
  sequentialLike: false,
  showTrainable: false,
  counts: { trainable: float32(993), nonTrainable: float32(0) },
}

const multiOutput: SummarySpec = {
  name: 'functional',
  rows: [
    row('input_layer', 'InputLayer', [null, 10], 0),
    row('dense', 'Dense', [null, 128], 1408, 'input_layer[0][0]'),
    row('dense_1', 'Dense', [null, 64], 8256, 'dense[0][0]'),
    row('dense_2', 'Dense', [null, 32], 2080, 'dense_1[0][0]'),
    row('concatenate', 'Concatenate', [null, 96], 0, 'dense_1[0][0], dense_2[0][0]'),
    row('dense_3', 'Dense', [null, 1], 65, 'dense_1[0][0]'),
    row('dense_4', 'Dense', [null, 1], 33, 'dense_2[0][0]'),
    row('dense_5', 'Dense', [null, 5], 485, 'concatenate[0][0]'),
  ],
  sequentialLike: false,
  showTrainable: false,
  counts: { trainable: float32(12327), nonTrainable: float32(0) },
}

/** The same after a step of Adam: two moments per weight, the step and the learning rate. */
const fitted = (spec: SummarySpec): SummarySpec => ({
  ...spec,
  counts: { ...spec.counts, optimizer: float32(2 * spec.counts.trainable.count + 2) },
})

describe.each([
  ['multi_input_1', multiInput],
  ['multi_output_3', multiOutput],
] as const)('the summary of %s is the one Keras prints', (name, spec) => {
  test('in a terminal of 80 columns', () => {
    expect(summaryText(spec)).toBe(seeds[name].summary_76)
  })
  test('in a wide terminal', () => {
    expect(summaryText({ ...spec, terminalColumns: 200 })).toBe(seeds[name].summary_108)
  })
  test('after fit', () => {
    expect(summaryText(fitted(spec))).toBe(seeds[name].summary_76_after_fit)
  })
})

// The three texts below were printed by Keras 3.16's print_summary on rich 14.3.3.

test('a chain has no "Connected to", and a layer without weights yet says so', () => {
  const unbuilt: SummaryRow = { ...row('dense_1', 'Dense', [], 0), outputShape: shapesText([]) }
  const spec: SummarySpec = {
    name: 'sequential',
    rows: [
      row('dense', 'Dense', [null, 4], 16),
      row('dropout', 'Dropout', [null, 4], 0),
      { ...unbuilt, params: '0 (unbuilt)' },
    ],
    sequentialLike: true,
    showTrainable: false,
    counts: { trainable: float32(16), nonTrainable: float32(0) },
  }
  expect(summaryText(spec)).toBe(`Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ dense (Dense)                   │ (None, 4)              │            16 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dropout (Dropout)               │ (None, 4)              │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ ?                      │   0 (unbuilt) │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 16 (64.00 B)
 Trainable params: 16 (64.00 B)
 Non-trainable params: 0 (0.00 B)
`)
})

const transfer: SummarySpec = {
  name: 'functional',
  rows: [
    row('image', 'InputLayer', [null, 224, 224, 3], 0),
    { ...row('efficientnetb0', 'Functional', [null, 7, 7, 1280], 4049571, 'image[0][0]'), trainable: 'N' },
    { ...row('input_layer_1', 'InputLayer', [null, 224, 224, 3], 0), nestedLevel: 1 },
    { ...row('stem_conv', 'Conv2D', [null, 112, 112, 32], 864), trainable: 'N', nestedLevel: 1 },
    row('global_average_pooling2d', 'GlobalAveragePooling2D', [null, 1280], 0, 'efficientnetb0[0][0]'),
    {
      ...row('lstm', 'LSTM', [], 80, 'global_average_pooling2d[0][0]'),
      outputShape: shapesText([
        [null, 8],
        [null, 8],
        [null, 8],
      ]),
    },
  ],
  sequentialLike: false,
  showTrainable: true,
  counts: { trainable: float32(80), nonTrainable: float32(4049571) },
}

test('nested layers are indented, words too long end in an ellipsis, and Trainable is a column', () => {
  expect(summaryText(transfer)).toBe(`Model: "functional"
┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━┓
┃ Layer (type)      ┃ Output Shape    ┃   Param # ┃ Connected to   ┃ Trai… ┃
┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━┩
│ image             │ (None, 224,     │         0 │ -              │   -   │
│ (InputLayer)      │ 224, 3)         │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ efficientnetb0    │ (None, 7, 7,    │ 4,049,571 │ image[0][0]    │   N   │
│ (Functional)      │ 1280)           │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│    └              │ (None, 224,     │         0 │ -              │   -   │
│ input_layer_1     │ 224, 3)         │           │                │       │
│ (InputLayer)      │                 │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│    └ stem_conv    │ (None, 112,     │       864 │ -              │   N   │
│ (Conv2D)          │ 112, 32)        │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ global_average_p… │ (None, 1280)    │         0 │ efficientnetb… │   -   │
│ (GlobalAveragePo… │                 │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ lstm (LSTM)       │ [(None, 8),     │        80 │ global_averag… │   Y   │
│                   │ (None, 8),      │           │                │       │
│                   │ (None, 8)]      │           │                │       │
└───────────────────┴─────────────────┴───────────┴────────────────┴───────┘
 Total params: 4,049,651 (15.45 MB)
 Trainable params: 80 (320.00 B)
 Non-trainable params: 4,049,571 (15.45 MB)
`)
})

test('in a narrow terminal the header wraps, and hangs at the bottom', () => {
  const rows = transfer.rows.filter(({ nestedLevel }) => nestedLevel === 0)
  expect(summaryText({ ...transfer, rows, showTrainable: false, terminalColumns: 60 })).toBe(
    `Model: "functional"
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━━━┓
┃               ┃              ┃  Param ┃              ┃
┃ Layer (type)  ┃ Output Shape ┃      # ┃ Connected to ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━━━┩
│ image         │ (None, 224,  │      0 │ -            │
│ (InputLayer)  │ 224, 3)      │        │              │
├───────────────┼──────────────┼────────┼──────────────┤
│ efficientnet… │ (None, 7, 7, │ 4,049… │ image[0][0]  │
│ (Functional)  │ 1280)        │        │              │
├───────────────┼──────────────┼────────┼──────────────┤
│ global_avera… │ (None, 1280) │      0 │ efficientne… │
│ (GlobalAvera… │              │        │              │
├───────────────┼──────────────┼────────┼──────────────┤
│ lstm (LSTM)   │ [(None, 8),  │     80 │ global_aver… │
│               │ (None, 8),   │        │              │
│               │ (None, 8)]   │        │              │
└───────────────┴──────────────┴────────┴──────────────┘
 Total params: 4,049,651 (15.45 MB)
 Trainable params: 80 (320.00 B)
 Non-trainable params: 4,049,571 (15.45 MB)
`,
  )
})

test.each([
  ['a chain', 200, true, false, 88],
  ['a graph', 200, false, false, 108],
  ['a chain with Trainable', 200, true, true, 100],
  ['a graph with Trainable', 200, false, true, 120],
  ['a graph with Trainable', 100, false, true, 96],
] as const)(
  '%s in %i columns is as wide as in Keras',
  (_, terminalColumns, sequentialLike, showTrainable, width) => {
    const lines = summaryText({ ...multiInput, terminalColumns, sequentialLike, showTrainable }).split('\n')
    expect(lines[1]).toHaveLength(width)
  },
)

test('lineLength wins over the terminal', () => {
  expect(summaryText({ ...multiInput, lineLength: 108 })).toBe(seeds.multi_input_1.summary_108)
})

test('a terminal too narrow for four columns is an error that names the column', () => {
  expect(() => summaryText({ ...multiInput, terminalColumns: 20 })).toThrow(
    new RangeError(
      'summary: a line of 16 leaves 3 for column "Param #", which needs 4; use a wider terminal or a larger lineLength',
    ),
  )
})

test.each([
  [[], '?'],
  [[[]], '()'],
  [[[null]], '(None)'],
  [[[null, 28, 28, 1]], '(None, 28, 28, 1)'],
  [[[null, 2], [3]], '[(None, 2), (3)]'],
])('shapes %j are written %s', (shapes, text) => expect(shapesText(shapes)).toBe(text))

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1234567, '1,234,567'],
])('%i parameters are written %s', (count, text) => expect(countText(count)).toBe(text))

test.each([
  [0, '0.00 B'],
  [1023, '1023.00 B'],
  [1024, '1.00 KB'],
  [3200, '3.12 KB'], // 3.125: Python rounds a half to even
  [4 * 4049651, '15.45 MB'],
  [2 ** 60, '1024.00 PB'],
])('%i bytes are written %s', (bytes, text) => expect(bytesText(bytes)).toBe(text))

test.each([
  [0.15625, 4, '0.1562'],
  [0.09375, 4, '0.0938'],
  [-2.5, 0, '-2'],
  [3.5, 0, '4'],
  [1.005, 2, '1.00'],
  [1e22, 2, '10000000000000000000000.00'],
  [Number.NaN, 4, 'nan'],
  [-Infinity, 4, '-inf'],
])('%f with %i decimals is %s, as in Python', (x, digits, text) => expect(fixed(x, digits)).toBe(text))

const word = fc.stringMatching(/^[a-z0-9_()[\],]{1,12}$/)
const wideText = fc
  .array(fc.constantFrom('a', 'é', '日', '한글', '🎉', ' '), { maxLength: 30 })
  .map((s) => s.join(''))
const justify = fc.constantFrom('left', 'right', 'center')
const columns = fc.array(fc.record({ header: word, justify, width: fc.integer({ min: 12, max: 40 }) }), {
  minLength: 1,
  maxLength: 5,
})
const total = (widths: readonly { readonly width: number }[]) =>
  widths.reduce((sum, { width }) => sum + width, 0)

test.prop([
  columns,
  fc.array(fc.array(wideText, { maxLength: 5 }), { maxLength: 4 }),
  fc.integer({ max: 50 }),
])(
  'every line of a table is lineLength cells wide, whatever the texts and the columns want',
  (columns, rows, extra) => {
    const lineLength = total(columns) + Math.max(extra, 0)
    const lines = renderTable(columns, rows, lineLength).split('\n')
    expect(lines.pop()).toBe('')
    for (const line of lines) expect(cellWidth(line)).toBe(lineLength)
  },
)

test.prop([columns, fc.array(word, { maxLength: 12 })])(
  'words that fit are neither cut nor reordered',
  (columns, words) => {
    const text = renderTable(columns.slice(0, 1), [[words.join(' ')]], 40)
    const body = text.slice(text.indexOf('┩\n') + 2, text.indexOf('└'))
    expect(body.match(/[^\s│]+/g) ?? []).toEqual(words)
  },
)

test('a wide character that would straddle the edge gives way to a space', () => {
  expect(renderTable([{ header: '日本語', justify: 'left', width: 3 }], [], 7)).toBe(
    '┏━━━━━┓\n┃ 日… ┃\n┡━━━━━┩\n└─────┘\n',
  )
  expect(renderTable([{ header: '日本語', justify: 'right', width: 4 }], [], 8)).toContain('┃ 日 … ┃')
})
