import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import type { DType, FloatDType } from '../../packages/core/src/dtype.js'
import { formatTensor, inspectTensor } from '../../packages/core/src/print.js'
import { sizeOf } from '../../packages/core/src/shape.js'

type Data = readonly number[] | readonly string[]

// The expected texts are those of NumPy 2.4: str(np.array(data, dtype).reshape(shape)), with JavaScript's words for bools.
const printed: readonly [title: string, Data, shape: readonly number[], DType, text: string][] = [
  ['whole numbers keep their point', [0, 1, 2], [3], 'float32', '[0. 1. 2.]'],
  [
    'columns are as wide as their widest number',
    [1, 2.5, -3, 4],
    [2, 2],
    'float32',
    lines('[[ 1.   2.5]', ' [-3.   4. ]]'),
  ],
  ['zeros have a sign', [0, -0], [2], 'float64', '[ 0. -0.]'],
  [
    'float32 has the digits of a float32',
    [0.1, 1 / 3, 16.1],
    [3],
    'float32',
    '[ 0.1         0.33333334 16.1       ]',
  ],
  [
    'float64 is rounded to 8 decimals',
    [0.1, 1 / 3, 123.456],
    [3],
    'float64',
    '[1.00000000e-01 3.33333333e-01 1.23456000e+02]',
  ],
  ['zeros after rounding go', [1.000000001, 2], [2], 'float64', '[1. 2.]'],
  [
    'halves at the 8th decimal go to the even digit',
    [2 ** -9, 3 * 2 ** -9, 1],
    [3],
    'float64',
    '[0.00195312 0.00585938 1.        ]',
  ],
  [
    'nan and inf are as wide as the rest',
    [NaN, Infinity, -Infinity, 1.25],
    [4],
    'float32',
    '[ nan  inf -inf 1.25]',
  ],
  ['nan alone', [NaN, NaN], [2], 'float32', '[nan nan]'],
  ['-inf needs room among short numbers', [-Infinity, 1, 2], [3], 'float64', '[-inf   1.   2.]'],
  ['a ratio of 1000 needs no exponent', [1, 1000], [2], 'float64', '[   1. 1000.]'],
  ['a ratio over 1000 does', [0.999, 1000], [2], 'float64', '[9.99e-01 1.00e+03]'],
  ['0.0001 needs no exponent', [0.0001], [1], 'float32', '[0.0001]'],
  ['less does', [0.00009999, -0.0001], [2], 'float64', '[ 9.999e-05 -1.000e-04]'],
  ['zeros do not count', [0, 1e-5, 1.5e-5], [3], 'float64', '[0.0e+00 1.0e-05 1.5e-05]'],
  ['float64 to 1e8', [99999999, 12345678], [2], 'float64', '[99999999. 12345678.]'],
  ['float64 from 1e8', [1e8, 12345678], [2], 'float64', '[1.0000000e+08 1.2345678e+07]'],
  ['float32 to 1e6', [999999.94, 123456], [2], 'float32', '[999999.94 123456.  ]'],
  ['float32 from 1e6', [1e6, 1234567], [2], 'float32', '[1.000000e+06 1.234567e+06]'],
  [
    'exponents have the same number of digits',
    [1e-300, 1, NaN, -1e5],
    [4],
    'float64',
    '[ 1.e-300  1.e+000      nan -1.e+005]',
  ],
  ['exponents with nan and -inf', [1e10, NaN, -Infinity], [3], 'float32', '[1.e+10    nan   -inf]'],
  [
    'the smallest and the largest float32',
    [2 ** -149, 2 ** -126, 3.4028234663852886e38],
    [3],
    'float32',
    '[1.4012985e-45 1.1754944e-38 3.4028235e+38]',
  ],
  [
    'the smallest and the largest float64',
    [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308],
    [3],
    'float64',
    '[4.94065646e-324 2.22507386e-308 1.79769313e+308]',
  ],
  [
    'digits beyond the unique ones are the true ones',
    [0.1, 1e23, 1.00000015e-7],
    [3],
    'float32',
    '[1.00000001e-01 9.99999978e+22 1.00000015e-07]',
  ],
  ['rounding up to the next power of ten', [9.999999999e9, 1], [2], 'float64', '[1.e+10 1.e+00]'],
  ['a column', [1, 20, 300], [3, 1], 'int32', lines('[[  1]', ' [ 20]', ' [300]]')],
  [
    'int32 is aligned right',
    [1, -20, 300, 2147483647],
    [2, 2],
    'int32',
    lines('[[         1        -20]', ' [       300 2147483647]]'),
  ],
  ['uint8', [0, 7, 255], [3], 'uint8', '[  0   7 255]'],
  ['bools', [1, 0, 0, 1], [2, 2], 'bool', lines('[[ true false]', ' [false  true]]')],
  ['only true', [1, 1], [2], 'bool', '[ true  true]'],
  [
    'strings in quotes',
    ['a', "it's", '"', `'"`, 'a\\b', 'tab\t', 'line\n', '\x07', '\u2028', 'é漢😀'],
    [10],
    'string',
    "['a' \"it's\" '\"' '\\'\"' 'a\\\\b' 'tab\\t' 'line\\n' '\\x07' '\\u2028' 'é漢😀']",
  ],
  ['strings are not aligned', ['a', 'bcd', '', 'ef'], [2, 2], 'string', lines("[['a' 'bcd']", " ['' 'ef']]")],
  [
    'an item longer than a line',
    ['a', 'x'.repeat(80), 'b'],
    [3],
    'string',
    lines(
      "['a'",
      " 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
      " 'b']",
    ),
  ],
  [
    'astral characters are one wide',
    range(20).map(() => '😀'),
    [20],
    'string',
    lines(
      "['😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀' '😀'",
      " '😀' '😀']",
    ),
  ],
  [
    'lines end before column 75',
    range(40),
    [40],
    'int32',
    lines(
      '[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23',
      ' 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39]',
    ),
  ],
  [
    'padding is cut at the end of a line',
    range(24).map((i) => i / 8),
    [24],
    'float64',
    lines(
      '[0.    0.125 0.25  0.375 0.5   0.625 0.75  0.875 1.    1.125 1.25  1.375',
      ' 1.5   1.625 1.75  1.875 2.    2.125 2.25  2.375 2.5   2.625 2.75  2.875]',
    ),
  ],
  [
    'lines in a block',
    range(44).map((i) => i * 11),
    [2, 22],
    'int32',
    lines(
      '[[  0  11  22  33  44  55  66  77  88  99 110 121 132 143 154 165 176 187',
      '  198 209 220 231]',
      ' [242 253 264 275 286 297 308 319 330 341 352 363 374 385 396 407 418 429',
      '  440 451 462 473]]',
    ),
  ],
  [
    'blocks are apart',
    range(8),
    [2, 2, 2],
    'float32',
    lines('[[[0. 1.]', '  [2. 3.]]', '', ' [[4. 5.]', '  [6. 7.]]]'),
  ],
  [
    'blocks of blocks',
    range(4),
    [2, 1, 2, 1],
    'float32',
    lines('[[[[0.]', '   [1.]]]', '', '', ' [[[2.]', '   [3.]]]]'),
  ],
  ['no elements', [], [0], 'float32', '[]'],
  ['no elements in rows', [], [3, 0], 'float32', '[]'],
  ['no axes: float32', [0.1], [], 'float32', '0.1'],
  ['no axes: all digits', [1 / 3], [], 'float64', '0.3333333333333333'],
  ['no axes: whole', [3], [], 'float64', '3.0'],
  ['no axes: float64 to 1e16', [1e15], [], 'float64', '1000000000000000.0'],
  ['no axes: float64 from 1e16', [-1.5e16], [], 'float64', '-1.5e+16'],
  ['no axes: float32 from 1e6', [1e6], [], 'float32', '1e+06'],
  ['no axes: small', [0.00001], [], 'float64', '1e-05'],
  ['no axes: -0', [-0], [], 'float32', '-0.0'],
  ['no axes: nan', [NaN], [], 'float32', 'nan'],
  ['no axes: int32', [-7], [], 'int32', '-7'],
  ['no axes: bool', [1], [], 'bool', 'true'],
  ['no axes: string', ["it's"], [], 'string', "it's"],
  [
    '1000 elements in full',
    range(1000).map(() => 1),
    [1000],
    'uint8',
    `[${`${range(37)
      .map(() => 1)
      .join(' ')}\n `.repeat(27)}1]`,
  ],
  ['1001 elements in part', range(1001), [1001], 'int32', '[   0    1    2 ...  998  999 1000]'],
  [
    'only what is shown counts for the width',
    range(1001).map((i) => (i === 500 ? 1e30 : i / 4)),
    [1001],
    'float32',
    '[  0.     0.25   0.5  ... 249.5  249.75 250.  ]',
  ],
  [
    'axes of 6 are shown in full, of 7 in part',
    range(1020),
    [6, 170],
    'int32',
    lines(
      '[[   0    1    2 ...  167  168  169]',
      ' [ 170  171  172 ...  337  338  339]',
      ' [ 340  341  342 ...  507  508  509]',
      ' [ 510  511  512 ...  677  678  679]',
      ' [ 680  681  682 ...  847  848  849]',
      ' [ 850  851  852 ... 1017 1018 1019]]',
    ),
  ],
  [
    'long rows of a few',
    range(2000),
    [2, 1000],
    'float64',
    lines(
      '[[0.000e+00 1.000e+00 2.000e+00 ... 9.970e+02 9.980e+02 9.990e+02]',
      ' [1.000e+03 1.001e+03 1.002e+03 ... 1.997e+03 1.998e+03 1.999e+03]]',
    ),
  ],
  [
    'many short rows',
    range(1200),
    [400, 3],
    'int32',
    lines(
      '[[   0    1    2]',
      ' [   3    4    5]',
      ' [   6    7    8]',
      ' ...',
      ' [1191 1192 1193]',
      ' [1194 1195 1196]',
      ' [1197 1198 1199]]',
    ),
  ],
  [
    'dots are wrapped too',
    range(1001).map((i) => `item number ${i}`),
    [1001],
    'string',
    lines(
      "['item number 0' 'item number 1' 'item number 2' ... 'item number 998'",
      " 'item number 999' 'item number 1000']",
    ),
  ],
  [
    'dots between blocks',
    range(1200).map((i) => i % 7),
    [300, 2, 2],
    'uint8',
    lines(
      '[[[0 1]',
      '  [2 3]]',
      '',
      ' [[4 5]',
      '  [6 0]]',
      '',
      ' [[1 2]',
      '  [3 4]]',
      '',
      ' ...',
      '',
      ' [[5 6]',
      '  [0 1]]',
      '',
      ' [[2 3]',
      '  [4 5]]',
      '',
      ' [[6 0]',
      '  [1 2]]]',
    ),
  ],
]

describe('formatTensor prints what NumPy prints:', () => {
  test.each(printed)('%s', (_, data, shape, dtype, text) => {
    expect(formatTensor(data, shape, dtype)).toBe(text)
  })
})

// repr(array) of NumPy 2.4, with ours for its first word and its facts.
const inspected: readonly [Data, shape: readonly number[], DType, text: string][] = [
  [[1, 2, 3, 4], [2, 2], 'float32', lines('tensor([[1., 2.],', '        [3., 4.]], shape [2,2], float32)')],
  [[2.5], [], 'float64', 'tensor(2.5, shape [], float64)'],
  [['a b'], [], 'string', "tensor('a b', shape [], string)"],
  [[1], [], 'bool', 'tensor(true, shape [], bool)'],
  [[1, 0], [2], 'bool', 'tensor([ true, false], shape [2], bool)'],
  [[], [2, 0], 'float32', 'tensor([], shape [2,0], float32)'],
  [
    range(30),
    [30],
    'int32',
    lines(
      'tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,',
      '        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29],',
      '       shape [30], int32)',
    ),
  ],
  [
    range(30),
    [3, 10],
    'float64',
    lines(
      'tensor([[ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9.],',
      '        [10., 11., 12., 13., 14., 15., 16., 17., 18., 19.],',
      '        [20., 21., 22., 23., 24., 25., 26., 27., 28., 29.]],',
      '       shape [3,10], float64)',
    ),
  ],
  [
    range(16),
    [16],
    'float32',
    lines(
      'tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12.,',
      '        13., 14., 15.], shape [16], float32)',
    ),
  ],
  [
    range(8),
    [2, 2, 2],
    'uint8',
    lines(
      'tensor([[[0, 1],',
      '         [2, 3]],',
      '',
      '        [[4, 5],',
      '         [6, 7]]], shape [2,2,2], uint8)',
    ),
  ],
  [
    range(1200),
    [1200],
    'float32',
    lines(
      'tensor([0.000e+00, 1.000e+00, 2.000e+00, ..., 1.197e+03, 1.198e+03,',
      '        1.199e+03], shape [1200], float32)',
    ),
  ],
  [['one', 'two'], [2, 1], 'string', lines("tensor([['one'],", "        ['two']], shape [2,1], string)")],
]

describe('inspectTensor keeps the columns below the first bracket:', () => {
  test.each(inspected)('%j, shape %j, %s', (data, shape, dtype, text) => {
    expect(inspectTensor(data, shape, dtype)).toBe(text)
  })
})

const smallShape = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 })
const anyFloat: Record<FloatDType, fc.Arbitrary<number>> = { float32: fc.float(), float64: fc.double() }

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  const [size, epsilon, least] = dtype === 'float32' ? [4, 2 ** -23, 2 ** -149] : [8, 2 ** -52, 2 ** -1074]
  const random = fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => {
    const view = new DataView(bytes.buffer)
    return dtype === 'float32' ? view.getFloat32(0) : view.getFloat64(0)
  })
  const value = fc.oneof(anyFloat[dtype], random)

  test.prop([value])('a value alone is read back as itself', (x) => {
    expect(numberIn(formatTensor([x], [], dtype), dtype)).toBe(x)
  })

  test.prop([value])('no shorter text of digits alone is read back as the value', (x) => {
    fc.pre(Number.isFinite(x) && x !== 0)
    const digits = significantDigits(formatTensor([x], [], dtype))
    fc.pre(digits > 1)
    expect(numberIn(x.toPrecision(digits - 1), dtype)).not.toBe(x)
  })

  const fewDigits = fc.integer({ min: -99_999, max: 99_999 })
  const array = smallShape.chain((shape) =>
    fc.tuple(
      fc.constant(shape),
      fc.array(fewDigits, { minLength: sizeOf(shape), maxLength: sizeOf(shape) }),
      fc.integer({ min: -20, max: 20 }),
    ),
  )
  test.prop([array])(
    'arrays of numbers with few digits are read back as themselves',
    ([shape, whole, power]) => {
      const data = whole.map((x) => numberIn(`${x}e${power}`, dtype))
      expect(numbersIn(formatTensor(data, shape, dtype), dtype)).toEqual(data)
      expect(numbersIn(inspectTensor(data, shape, dtype).split(/,\s+shape/)[0]!, dtype)).toEqual(data)
    },
  )

  test.prop([fc.array(value, { minLength: 1, maxLength: 30 })])(
    'arrays are read back to 8 decimals, and special values exactly',
    (data) => {
      const text = formatTensor(data, [data.length], dtype)
      const read = numbersIn(text, dtype)
      data.forEach((x, i) => {
        if (Number.isFinite(x) && x !== 0) {
          // Half a unit of the 8th decimal, of the digits if there is an exponent; and what reading rounds.
          const tolerance =
            0.50001e-8 * (text.includes('e') ? Math.abs(x) : 1) + epsilon * Math.abs(x) + least
          expect(Math.abs(read[i]! - x)).toBeLessThanOrEqual(tolerance)
        } else expect(read[i]).toBe(x)
      })
    },
  )

  test.prop([fc.array(value, { minLength: 1, maxLength: 60 })])(
    'columns have one width and lines fit',
    (data) => {
      const text = formatTensor(data, [data.length, 1], dtype)
      const rows = text
        .slice(1, -1)
        .split('\n')
        .map((row) => row.trim())
      expect(new Set(rows.map((row) => row.length)).size).toBe(1)
      for (const line of formatTensor(data, [data.length], dtype).split('\n'))
        expect(line.length).toBeLessThanOrEqual(75)
    },
  )
})

test.prop([smallShape])('there are as many brackets as rows', (shape) => {
  fc.pre(!shape.includes(0))
  const text = formatTensor(range(sizeOf(shape)), shape, 'int32')
  const rows = shape.map((_, axis) => sizeOf(shape.slice(0, axis))).reduce((a, b) => a + b, 0)
  expect(text.split('[').length - 1).toBe(rows)
  expect(text.split(']').length - 1).toBe(rows)
  expect(numbersIn(text, 'float64')).toEqual(range(sizeOf(shape)))
})

test('a large tensor is printed from its corners alone', () => {
  const read: number[] = []
  const data = new Proxy(new Float32Array(0), {
    get: (_, key) => {
      read.push(Number(key))
      return 1
    },
  })
  formatTensor(data, [1000, 1000, 1000], 'float32')
  expect(read).toHaveLength(6 ** 3)
})

function range(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i)
}

function lines(...all: readonly string[]): string {
  return all.join('\n')
}

function numberIn(text: string, dtype: FloatDType): number {
  const x = Number(text.replace('inf', 'Infinity').replace('nan', 'NaN'))
  return dtype === 'float32' ? Math.fround(x) : x
}

function numbersIn(text: string, dtype: FloatDType): number[] {
  const words = text.replace(/tensor\(|[[\],]/g, ' ').split(/\s+/)
  return words.filter((word) => word !== '').map((word) => numberIn(word, dtype))
}

function significantDigits(text: string): number {
  const digits = text.replace(/e.*/, '').replace(/[-.]/g, '')
  return digits.replace(/^0+/, '').replace(/0+$/, '').length
}
