import {
  add,
  Add,
  average,
  concatenate,
  dense,
  dot,
  input,
  maximum,
  type MergeFactory,
  minimum,
  model,
  multiply,
  setFloatx,
  ShapeError,
  subtract,
  type Sym,
  tensor,
  type Tensor,
  ValueError,
  valueAndGrads,
  weightedAverage,
} from '@adjoint/layers'
import * as layers from '@adjoint/layers'
import * as core from '@adjoint/core'
import { afterEach, describe, expect, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

afterEach(() => {
  setFloatx('float32')
})

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: { readonly x: number[][]; readonly y: number[][]; readonly axis?: number }
  readonly expected: unknown
}
const facts = readOracle<Fact[]>('facts.json').filter((fact) => fact.area === 'merge')

const a = tensor([
  [1, -2, 3],
  [4, 5, 6],
])
const b = tensor([
  [2, 2, 2],
  [-1, 0, 1],
])

describe('merges agree with Keras', () => {
  it.each(facts)('$name', ({ input: { x, y, axis }, expected }) => {
    const merge = axis === undefined ? add() : concatenate({ axis })
    expect(merge([tensor(x), tensor(y)] as never)).toHaveProperty('shape')
    expect((merge([tensor(x), tensor(y)] as never) as Tensor).arraySync()).toEqual(expected)
  })

  it.each([
    [
      'add',
      add,
      [
        [3, 0, 5],
        [3, 5, 7],
      ],
    ],
    [
      'subtract',
      subtract,
      [
        [-1, -4, 1],
        [5, 5, 5],
      ],
    ],
    [
      'multiply',
      multiply,
      [
        [2, -4, 6],
        [-4, 0, 6],
      ],
    ],
    [
      'average',
      average,
      [
        [1.5, 0, 2.5],
        [1.5, 2.5, 3.5],
      ],
    ],
    [
      'maximum',
      maximum,
      [
        [2, 2, 3],
        [4, 5, 6],
      ],
    ],
    [
      'minimum',
      minimum,
      [
        [1, -2, 2],
        [-1, 0, 1],
      ],
    ],
  ] as unknown as [string, MergeFactory<'add'>, number[][]][])('%s, in both forms', (_, merge, expected) => {
    expect(merge()([a, b]).arraySync()).toEqual(expected)
    expect(merge([a, b]).arraySync()).toEqual(expected)
    const x = input({ shape: [3] })
    const y = input({ shape: [3] })
    const m = model({ inputs: [x, y], outputs: [merge()([x, y]), merge([x, y])] })
    for (const out of m([a, b])) expect(out.arraySync()).toEqual(expected)
  })

  it('axes of 1 go behind the batch where ranks differ', () => {
    const low = tensor([[10, 20, 30]])
    const high = tensor([
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ])
    const expected = [
      [
        [11, 22, 33],
        [14, 25, 36],
      ],
    ]
    expect(add([low, high]).arraySync()).toEqual(expected)
    expect(add([high, low]).arraySync()).toEqual(expected)
    // NumPy's rule would put the 2 rows of the batch against the 2 of the other's second axis.
    const rows = tensor([
      [10, 20],
      [30, 40],
    ])
    const grid = tensor(new Float32Array(8), { shape: [2, 2, 2] })
    expect(add([rows, grid]).arraySync()).toEqual([
      [
        [10, 20],
        [10, 20],
      ],
      [
        [30, 40],
        [30, 40],
      ],
    ])
  })

  it('one row of constants goes with every row', () => {
    const x = input({ shape: [3] })
    const m = model({ inputs: x, outputs: multiply([x, tensor([[1, 10, 100]])]) })
    expect(m(a).arraySync()).toEqual([
      [1, -20, 300],
      [4, 50, 600],
    ])
  })
})

describe('what cannot be merged', () => {
  const x = input({ shape: [3] })
  const y = input({ shape: [4] })
  const all = [
    add,
    subtract,
    multiply,
    average,
    maximum,
    minimum,
    weightedAverage,
  ] as unknown as MergeFactory<'add'>[]

  it.each(all)('is told by layer and shapes', (merge) => {
    for (const attempt of [() => merge([x, y] as never), () => merge()([x, y] as never)]) {
      expect(attempt).toThrow(ShapeError)
      expect(attempt).toThrow(
        /^[\w]+ \(\w+\): cannot combine \[null,3\] with \[null,4\]: 3 and 4 differ on axis -1/,
      )
    }
    expect(() => merge([tensor([[1], [2]]), tensor([[1], [2], [3]])])).toThrow(/2 and 3 differ on axis 0/)
  })

  it.each([...all, concatenate as unknown as MergeFactory<'add'>])('is a list of one or none', (merge) => {
    expect(() => merge()([x] as never)).toThrow(ShapeError)
    expect(() => merge()([] as never)).toThrow()
    expect(() => merge([x] as never)).toThrow(/at least two|exactly two|has/)
  })

  it.each([...all, concatenate as unknown as MergeFactory<'add'>])('is a tensor without a list', (merge) => {
    expect(() => merge(x as never)).toThrow(
      /expected a list of tensors, as in \w+\(\[a, b\]\), got one tensor/,
    )
    expect(() => merge()(x as never)).toThrow(/takes a list of tensors/)
    expect(() => (merge() as (...xs: unknown[]) => unknown)(x, x)).toThrow(/got 2 arguments/)
  })

  it('is a third tensor to subtract', () => {
    expect(() => subtract([x, x, x])).toThrow(/takes exactly two tensors, got 3/)
  })

  it('is a layer, options that are unknown, and scalars', () => {
    expect(() => add([x, dense(3)] as never)).toThrow(/called on the layer/)
    expect(() => add({ naem: 'sum' } as never)).toThrow(/Did you mean "name"/)
    expect(() => add([tensor(1), tensor(2)])).toThrow(/a scalar has no batch axis/)
  })
})

describe('sides that are not known', () => {
  it('are taken from the input that knows them', () => {
    const open = input({ shape: [null, 3] })
    expect(add([open, input({ shape: [4, 3] })]).shape).toEqual([4, 3])
    expect(add([open, input({ shape: [1, 3] })]).shape).toEqual([null, 3])
    expect(concatenate([open, input({ shape: [4, 2] })] as never)).toHaveProperty('shape', [4, 5])
    expect(concatenate({ axis: 1 })([open, open]).shape).toEqual([null, 3])
  })

  it('are checked when there is data', () => {
    const open = input({ shape: [null] })
    const m = model({ inputs: open, outputs: add([open, tensor([[1, 2, 3]])]) })
    expect(m(tensor([[1, 1, 1]])).arraySync()).toEqual([[2, 3, 4]])
    expect(() => m(tensor([[1, 1]]))).toThrow(ShapeError)
  })
})

describe('concatenate', () => {
  const x = input({ shape: [2, 3] })

  it('counts the batch as axis 0, and refuses it', () => {
    expect(concatenate({ axis: 1 })([x, x]).shape).toEqual([4, 3])
    expect(concatenate({ axis: -1 })([x, x]).shape).toEqual([2, 6])
    expect(concatenate({ axis: 2 })([x, x]).shape).toEqual([2, 6])
    for (const axis of [0, -3]) expect(() => concatenate({ axis })([x, x])).toThrow(/is the batch/)
    expect(() => concatenate({ axis: 0 })).toThrow(ValueError)
  })

  it('refuses axes that are none', () => {
    for (const axis of [3, -4])
      expect(() => concatenate({ axis })([x, x])).toThrow(/axis -?\d is out of range for \[null,2,3\]/)
    for (const axis of [0.5, NaN, '1', null])
      expect(() => concatenate({ axis: axis as never })).toThrow(ValueError)
  })

  it('names the axis on which shapes differ', () => {
    expect(() => concatenate([x, input({ shape: [4, 3] })] as never)).toThrow(
      /concatenate \(Concatenate\): cannot put \[null,4,3\] behind \[null,2,3\]: they differ on axis 1, and only axis 2 may differ/,
    )
    expect(() => concatenate([x, input({ shape: [3] })] as never)).toThrow(/their ranks differ/)
    expect(() => concatenate([tensor([[1]]), tensor([[1], [2]])])).toThrow(/they differ on axis 0/)
  })

  it('takes the widest dtype', () => {
    const whole = tensor([[1, 2]], { dtype: 'int32' })
    expect(concatenate([whole, whole]).dtype).toBe('int32')
    expect(concatenate([whole, a.slice([0, 0], [1, 2])]).dtype).toBe('float32')
  })
})

describe('weightedAverage', () => {
  it('weighs by fixed weights, divided by their sum', () => {
    const layer = weightedAverage({ weights: [3, 1] })
    expect(layer([a, b]).arraySync()).toEqual([
      [1.25, -1, 2.75],
      [2.75, 3.75, 4.75],
    ])
    expect(layer.weights).toEqual([])
  })

  it('learns a logit for each input, from equal weights', () => {
    const layer = weightedAverage()
    expect(layer([a, b]).arraySync()).toEqual(average([a, b]).arraySync())
    expect(layer.trainableWeights.map((w) => [w.name, w.shape])).toEqual([['logits', [2]]])
    layer.setWeights([[Math.log(3), 0]])
    const out = layer([a, b]).dataSync()
    weightedAverage({ weights: [3, 1] })([a, b])
      .dataSync()
      .forEach((v, i) => {
        expect(out[i]).toBeCloseTo(v, 5)
      })
  })

  it('starts learning where it is told to', () => {
    setFloatx('float64')
    const layer = weightedAverage({ weights: [3, 1], trainable: true })
    const x = tensor([[4]])
    const y = tensor([[0]])
    expect(layer([x, y]).itemSync()).toBeCloseTo(3, 12)
    const { grads } = valueAndGrads(() => layer([x, y]).sum(), layer.trainableWeights)
    // d/dl₀ of 4 softmax(l)₀ = 4 · ¾ · ¼.
    expect(grads[0]!.arraySync()).toEqual([expect.closeTo(0.75, 12), expect.closeTo(-0.75, 12)])
  })

  it('stays equal when it is frozen from the start', () => {
    const layer = weightedAverage({ trainable: false })
    layer([a, b])
    expect(layer.trainableWeights).toEqual([])
  })

  it('needs a weight for each input', () => {
    expect(() => weightedAverage({ weights: [1, 2] })([a, b, a])).toThrow(/has 2 weights, got 3 tensors/)
    const learned = weightedAverage()
    learned([a, b])
    expect(() => learned([a, b, a])).toThrow(/has 2 weights, got 3 tensors/)
    for (const weights of [[1], [1, NaN], [1, -1], [0, 0], 'ab', [1, '2']])
      expect(() => weightedAverage({ weights: weights as number[] })).toThrow(ValueError)
    expect(() => weightedAverage({ weights: [1, 0], trainable: true })).toThrow(/cannot start at 0/)
  })
})

describe('dot', () => {
  it('sums products row by row', () => {
    expect(dot([a, b], { axes: 1 }).arraySync()).toEqual([[4], [2]])
    const x = tensor(
      new Float32Array(2 * 3 * 4).map((_, i) => i),
      { shape: [2, 3, 4] },
    )
    const y = tensor(
      new Float32Array(2 * 4 * 2).map((_, i) => i),
      { shape: [2, 4, 2] },
    )
    expect(dot([x, y], { axes: [2, 1] }).arraySync()).toEqual(x.matmul(y).arraySync())
  })

  it('is the cosine when normalized', () => {
    const cosine = dot({ axes: -1, normalize: true })
    expect(cosine([a, a]).dataSync()[0]).toBeCloseTo(1, 6)
    expect(
      cosine([
        a,
        tensor([
          [0, 0, 0],
          [0, 0, 0],
        ]),
      ]).arraySync(),
    ).toEqual([[0], [0]])
  })

  it('checks its axes', () => {
    expect(() => dot({ axes: 0 })).toThrow(/name the batch/)
    expect(() => dot({ axes: [1, 0.5] })).toThrow(ValueError)
    expect(() => dot([a, b], { axes: 2 })).toThrow(/axis 2 is out of range for \[2,3\]/)
    expect(() =>
      dot(
        [
          a,
          tensor([
            [1, 2],
            [1, 2],
          ]),
        ],
        { axes: 1 },
      ),
    ).toThrow(/axis 1 of \[2,3\] has 3 places, axis 1 of \[2,2\] has 2/)
  })
})

describe('the index', () => {
  it('has layers under the names that core has ops for', () => {
    const shared = Object.keys(layers).filter((name) => name in core && /^[a-z]/.test(name))
    const ops = shared.filter(
      (name) => (layers as Record<string, unknown>)[name] === (core as Record<string, unknown>)[name],
    )
    for (const name of ['add', 'maximum', 'minimum', 'reshape']) expect(ops).not.toContain(name)
    expect(layers.add()).toBeInstanceOf(Add)
  })
})

describe('many inputs', () => {
  it('are merged in a list made at run time', () => {
    const inputs = Array.from({ length: 61 }, (_, i) => input({ shape: [2], name: `in_${i}` }))
    const m = model({ inputs, outputs: concatenate()(inputs.map((x): Sym.Num => x)) })
    expect(m.outputs.shape).toEqual([122])
    expect((m(inputs.map(() => tensor([[1, 2]]))) as Tensor).shape).toEqual([1, 122])
  })
})
