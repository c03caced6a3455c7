// Whose memory comes back when, and what outlives the scope that it was made in.
import {
  DisposedError,
  grad,
  gradientTape,
  hvp,
  jacobian,
  keep,
  LimitError,
  matmul,
  setBackend,
  tensor,
  type Tensor,
  scope,
  valueAndGrads,
  variable,
  vjp,
  zeros,
} from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend } from '@adjoint/gpu'
import { adam, dense, input, model, sgd, type Metric } from '@adjoint/layers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()

const values = async (x: Tensor): Promise<number[]> => [...(await x.data())]
/** On the device, and not on the host. */
const made = (...numbers: number[]): Tensor => tensor(numbers).add(0)

describe('on the CPU', () => {
  test('scopes and keep leave everything as it is', () => {
    const made = scope(() => ({ x: keep(tensor([1])), list: [2, 'three'] }))
    expect(made).toMatchObject({ list: [2, 'three'] })
    expect(made.x.arraySync()).toEqual([1])
  })
})

describe.skipIf(gpu === undefined)('on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))
  const held = (): number => gpu!.memory().buffers

  /** How many buffers each of some calls adds, the first ones aside. */
  function added(f: () => unknown): number {
    const results = [f(), f()]
    const before = held()
    for (let i = 0; i < 5; i++) results.push(f())
    return (held() - before) / 5
  }

  test('a gradient leaves its result alone', () => {
    const x = made(1, 2, 3)
    const f = (y: Tensor): Tensor => y.square().sin().sum()
    expect(added(() => grad(f)(x))).toBe(1)
    expect(added(() => jacobian((y: Tensor) => y.square())(x))).toBe(1)
    expect(added(() => hvp(f)([x], [x]))).toBe(1)
    const w = variable([[1], [2]])
    expect(
      added(() =>
        valueAndGrads(
          () =>
            matmul(tensor([[1, 2]]), w)
              .square()
              .sum(),
          [w],
        ),
      ),
    ).toBe(2)
  })

  test('a loop in scopes adds nothing, whatever it makes', async () => {
    const w = variable([[1], [2]])
    const optimizer = adam({ learningRate: 0.1 })
    const step = (): void =>
      scope(() => {
        const { grads } = valueAndGrads(
          () =>
            matmul(tensor([[1, 2]]), w)
              .square()
              .sum(),
          [w],
        )
        optimizer.apply(grads, [w])
      })
    expect(added(step)).toBe(0)
    expect(await values(w)).toHaveLength(2)
  })

  test('what a scope returns, a variable holds, or was kept is still there', async () => {
    const w = variable([1, 2])
    let kept: Tensor
    const { a } = scope(() => {
      kept = keep(made(5))
      w.assign(made(3, 4))
      return { a: made(7), text: 'x' }
    })
    for (let i = 0; i < 3; i++) scope(() => made(1))
    expect([await values(a), await values(w), await values(kept!)]).toEqual([[7], [3, 4], [5]])
  })

  test('what got out in another way can be used until the next one has ended', async () => {
    let out: Tensor
    let unused: Tensor
    const f = (x: Tensor): Tensor => {
      unused = x.mul(3)
      return (out = x.mul(2)).sum()
    }
    const x = made(1, 2)
    grad(f)(x)
    const [first, lost] = [out!, unused!]
    const doubled = first.mul(2)
    grad(f)(x)
    grad(f)(x)
    expect(await values(doubled)).toEqual([4, 8])
    // It was used, so it is the user's.
    expect(await values(first)).toEqual([2, 4])
    expect(() => lost.add(1)).toThrow(DisposedError)
    expect(() => lost.add(1)).toThrow(/made in a gradient.*return them, assign.*or keep\(x\) them/)
    await expect(lost.data()).rejects.toThrow(DisposedError)
  })

  test('gradients within gradients, and within tapes, keep what the outer one reads', async () => {
    const x = made(2)
    const inner = grad((y: Tensor) => y.square().mul(y).sum())
    expect(await values(grad((y: Tensor) => inner(y).sum())(x))).toEqual([12])
    const tape = gradientTape({ persistent: true })
    tape.watch(x)
    const slope = inner(x).sum()
    scope(() => made(1))
    scope(() => made(1))
    expect(await values(tape.gradient(slope, x))).toEqual([12])
    tape.close()
  })

  test('a pullback reads old values of a variable after steps of an optimizer', async () => {
    const w = variable([3])
    const [, pullback] = vjp((x: Tensor) => x.mul(w), [made(1)])
    for (let i = 0; i < 4; i++) sgd({ learningRate: 1 }).apply([made(1)], [w])
    expect(await values(pullback(made(1))[0])).toEqual([3])
    expect(await values(w)).toEqual([-1])
  })

  test('a copy of a weight is there after the weight has changed', async () => {
    const w = variable([1]) // held on the host too
    w.assign(made(2))
    const [copy, view] = [w.detach(), w.reshape([1, 1])]
    for (let i = 0; i < 4; i++) scope(() => w.assign(w.add(1)))
    expect([await values(copy), await values(view), await values(w)]).toEqual([[2], [2], [6]])
  })

  test('giving back one of two names of a value leaves the other', async () => {
    const x = made(1, 2)
    const before = held()
    x.reshape([2, 1]).dispose()
    x.detach().dispose()
    expect(await values(x)).toEqual([1, 2])
    expect(held()).toBe(before)
    x.dispose()
    expect(held()).toBe(before - 1)
  })

  test('a scope gives back what it made when it fails', () => {
    const fail = (): void => {
      expect(() =>
        scope(() => {
          made(1, 2)
          throw new Error('no')
        }),
      ).toThrow('no')
    }
    expect(added(fail)).toBe(0)
    expect(() => scope(async () => made(1))).toThrow(/scope: the function is asynchronous/)
  })

  test('a long loop without an await stays within the budget where its steps are in scopes', async () => {
    const small = await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true, maxBytes: 2 ** 20 })
    setBackend(small)
    try {
      const w = variable(zeros([2 ** 12]))
      const loss = (): Tensor => w.sub(1).square().mean()
      const step = (): void => {
        const { grads } = valueAndGrads(loss, [w])
        w.assign(w.sub(grads[0]!.mul(1000)))
      }
      for (let i = 0; i < 300; i++) scope(step)
      expect((await w.data())[0]).toBeCloseTo(1, 2)
      const all: Tensor[] = []
      expect(() => {
        for (let i = 0; i < 300; i++) all.push(w.add(i))
      }).toThrow(LimitError)
    } finally {
      setBackend(gpu!)
    }
  })

  /** A metric of a user's own, which remembers tensors. */
  class Largest implements Metric {
    readonly name = 'largest'
    #most: Tensor | undefined
    reset(): void {
      this.#most = undefined
    }
    update(_: Tensor, yPred: Tensor): void {
      const most = yPred.max()
      this.#most = this.#most === undefined ? most : this.#most.maximum(most)
    }
    result(): number {
      void this.#most!.shape
      return 1
    }
  }

  test('metrics with a state, and steps of the user, train as on the CPU', async () => {
    const trained = async (): Promise<number[]> => {
      const x0 = input({ shape: [3] })
      const m = model({ inputs: x0, outputs: dense(1, { kernelInitializer: 'ones' })(x0) })
      let pred: Tensor
      m.compile({
        optimizer: sgd({ learningRate: 0.05 }),
        loss: 'mse',
        trainStep({ x, y }, self) {
          const { value, grads } = valueAndGrads(() => {
            pred = self.call(x, { training: true }) as Tensor
            return pred.sub(y).square().mean()
          }, self.trainableVariables)
          self.optimizer.apply(grads, self.trainableVariables)
          return { loss: value, mean: pred.mean() }
        },
      })
      const x = tensor([
        [1, 2, 3],
        [4, 5, 6],
        [1, 0, 1],
      ]).div(6)
      const y = tensor([[1], [0], [1]])
      const { history } = await m.fit((await x.array()) as number[][], y, {
        epochs: 3,
        batchSize: 1,
        shuffle: false,
        verbose: 0,
      })
      m.compile({ optimizer: 'sgd', loss: 'mse', metrics: ['mae', new Largest()] })
      const logs = await m.evaluate((await x.array()) as number[][], y, { batchSize: 1, verbose: 0 })
      return [...history['loss'], ...(history['mean'] ?? []), ...Object.values(logs)]
    }
    const got = await trained()
    setBackend(cpuBackend)
    const want = await trained()
    setBackend(gpu!)
    expect(got).toHaveLength(want.length)
    got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 5))
  })
})
