import {
  constraints,
  dense,
  embedding,
  input,
  model,
  sgd,
  tensor,
  type Tensor,
  ValueError,
  variable,
  Layer,
} from '@adjoint/layers'
import { arbitraries } from '@adjoint/core/testing'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'

const arb = arbitraries(fc)
const matrices = arb.tensors([[3, 4]], { dtype: 'float64' }).map(([w]) => w!)
/** 1e-7 is added to each norm. */
const SLACK = 1e-6

function normsOf(w: Tensor, axis: number): number[] {
  return [...w.square().sum(axis).sqrt().dataSync()]
}

describe('of any matrix', () => {
  test.prop([matrices, fc.double({ min: 0.1, max: 5, noNaN: true }), fc.constantFrom(0, 1)])(
    'maxNorm shortens what is too long and leaves the rest',
    (w, maxValue, axis) => {
      const before = normsOf(w, axis)
      normsOf(constraints.maxNorm({ maxValue, axis })(w), axis).forEach((norm, i) => {
        expect(Math.abs(norm - Math.min(before[i]!, maxValue))).toBeLessThanOrEqual(SLACK)
      })
    },
  )

  test.prop([matrices])('nonNeg cuts at 0', (w) => {
    expect([...constraints.nonNeg()(w).dataSync()]).toEqual([...w.dataSync()].map((v) => Math.max(v, 0)))
  })

  test.prop([matrices])('unitNorm makes norms 1, but for zeros', (w) => {
    const before = normsOf(w, 0)
    normsOf(constraints.unitNorm()(w), 0).forEach((norm, i) => {
      expect(Math.abs(norm - before[i]! / (before[i]! + 1e-7))).toBeLessThanOrEqual(SLACK)
    })
  })

  test.prop([matrices, fc.double({ min: 0, max: 1, noNaN: true })])(
    'minMaxNorm goes a part of the way into its range',
    (w, rate) => {
      const before = normsOf(w, 0)
      const made = normsOf(constraints.minMaxNorm({ minValue: 0.5, maxValue: 2, rate })(w), 0)
      made.forEach((norm, i) => {
        const from = before[i]!
        if (from < 1e-3) return
        const wanted = rate * Math.min(2, Math.max(0.5, from)) + (1 - rate) * from
        expect(Math.abs(norm - wanted)).toBeLessThanOrEqual(1e-3 * wanted)
      })
    },
  )
})

describe('in training', () => {
  it('weights are constrained after each step', () => {
    const layer = dense(2, { kernelConstraint: 'nonNeg' as 'non_neg', biasConstraint: 'unit_norm' })
    layer(tensor([[1, 2]]))
    const [kernel, bias] = layer.trainableWeights
    const optimizer = sgd({ learningRate: 1 })
    layer.setWeights([tensor([[1, -1], [2, 0]]), tensor([0, 0])]) // prettier-ignore
    optimizer.apply([tensor([[2, -3], [1, 0]]), tensor([-3, -4])], [kernel!, bias!]) // prettier-ignore
    expect(kernel!.arraySync()).toEqual([[0, 2], [1, 0]]) // prettier-ignore
    expect([...bias!.dataSync()].map((v) => v.toFixed(5))).toEqual(['0.60000', '0.80000'])
  })

  it('those of embeddings and of layers of your own too', async () => {
    class Gain extends Layer {
      readonly k = this.addWeight('k', [1], { initializer: 'ones', constraint: (k) => k.clip(0.5, 2) })
      override call(x: Tensor): Tensor {
        return x.mul(this.k)
      }
    }
    const ids = input({ shape: [1] })
    const table = embedding(3, 2, { embeddingsConstraint: constraints.maxNorm({ maxValue: 0.1, axis: 1 }) })
    const gain = new Gain()
    const m = model({ inputs: ids, outputs: gain(table(ids)) })
    m.compile({ optimizer: sgd({ learningRate: 10 }), loss: 'mse' })
    await m.fit([[0], [1], [2]], [[[5, 5]], [[5, 5]], [[5, 5]]], { epochs: 3, verbose: 0 })
    for (const norm of normsOf(m.getWeights()[0]!, 1)) expect(norm).toBeLessThanOrEqual(0.1 + SLACK)
    const k = gain.k.dataSync()[0]!
    expect(k >= 0.5 && k <= 2).toBe(true)
  })

  it('what a function of your own gives is checked, and then nothing has moved', () => {
    const cases: [(w: Tensor) => unknown, RegExp][] = [
      [(w) => w.sum(), /the constraint of "kernel": expected \[2,1\], got \[\]/],
      [() => 3, /expected a tensor, got number/],
      [(w) => w.cast('float64'), /expected float32, got float64/],
    ]
    for (const [by, message] of cases) {
      const layer = dense(1, { kernelConstraint: by as (w: Tensor) => Tensor, useBias: false })
      layer(tensor([[1, 2]]))
      const before = layer.getWeights()[0]!.arraySync()
      expect(() => {
        sgd().apply([tensor([[1], [1]])], layer.trainableWeights)
      }).toThrow(message)
      expect(layer.getWeights()[0]!.arraySync()).toEqual(before)
    }
  })

  it('variables without one are left alone', () => {
    const v = variable(tensor([3, 4]))
    sgd({ learningRate: 1 }).apply([tensor([1, 1])], [v])
    expect(v.arraySync()).toEqual([2, 3])
  })
})

describe('names and options', () => {
  it('are checked', () => {
    expect(() => dense(1, { kernelConstraint: 'max_nrm' as 'max_norm' })).toThrow(/Did you mean "max_norm"/)
    expect(() => dense(1, { kernelConstraint: constraints.nonNeg as never })).toThrow(/call it: nonNeg\(\)/)
    expect(() => constraints.maxNorm({ maxValue: -1 })).toThrow(ValueError)
    expect(() => constraints.maxNorm({ max: 1 } as object)).toThrow(/"max" is unknown/)
    expect(() => constraints.unitNorm({ axis: 0.5 })).toThrow(/axis must be a whole number/)
    expect(() => constraints.minMaxNorm({ minValue: 3 })).toThrow(/minValue 3 is above maxValue 1/)
    expect(constraints.maxNorm({ maxValue: 0.5 }).config).toEqual({
      name: 'max_norm',
      maxValue: 0.5,
      axis: 0,
    })
  })
})
