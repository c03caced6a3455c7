import { grad, tensor, type Tensor, zeros } from '@adjoint/core'
import { describe, expect, it } from 'vitest'

describe('JSON', () => {
  it('holds the values, which tensor reads again', () => {
    const x = tensor([
      [1, 2.5],
      [-3, 4],
    ])
    expect(JSON.stringify({ x, loss: tensor(0.5), ok: tensor([true]) })).toBe(
      '{"x":[[1,2.5],[-3,4]],"loss":0.5,"ok":[true]}',
    )
    expect(tensor(JSON.parse(JSON.stringify(x)) as number[]).arraySync()).toEqual(x.arraySync())
    expect(JSON.stringify(tensor([NaN, 1]))).toBe('[null,1]')
  })
})

describe('iteration', () => {
  it('is over the slices along axis 0', () => {
    const [a, b, ...none] = tensor([
      [1, 2],
      [3, 4],
    ])
    expect([a!.arraySync(), b!.arraySync(), none]).toEqual([[1, 2], [3, 4], []])
    expect(Array.from(tensor([5, 6]), (x) => x.itemSync())).toEqual([5, 6])
    expect([...zeros([0, 2])]).toEqual([])
  })

  it('carries gradients', () => {
    const f = (x: Tensor): Tensor => {
      let product = tensor(1)
      for (const row of x) product = product.mul(row)
      return product
    }
    expect(grad(f)(tensor([2, 3, 4])).arraySync()).toEqual([12, 8, 6])
  })

  it('is not for scalars', () => {
    expect(() => [...tensor(1)]).toThrow(TypeError)
    // What test runners ask before they compare.
    expect(tensor(1)[Symbol.iterator]).toBeUndefined()
    expect(tensor(1)).toEqual(tensor(1))
    expect([tensor([1, 2])]).toEqual([tensor([1, 2])])
    expect(tensor([1, 2])).not.toEqual(tensor([1, 3]))
  })
})
