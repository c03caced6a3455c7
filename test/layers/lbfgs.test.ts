import {
  dense,
  lbfgs,
  losses,
  NonFiniteError,
  random,
  sequential,
  setSeed,
  type Tensor,
  tensor,
  ValueError,
  variable,
  type Variable,
} from '@adjoint/layers'
import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'

const f64 = (values: number[]): Variable => variable(tensor(values, { dtype: 'float64' }), { name: 'w' })
const numbers = (x: Tensor): number[] => [...x.dataSync()]

describe('L-BFGS', () => {
  test('finds the minimum of Rosenbrock’s function', async () => {
    const [x, y] = [f64([-1.2]), f64([1])]
    const loss = (): Tensor => y.sub(x.square()).square().mul(100).add(x.sub(1).square()).sum()
    const result = await lbfgs(loss, [x, y], { gradientTolerance: 1e-8, lossTolerance: 0 })
    expect(result).toMatchObject({ converged: true, reason: 'gradient' })
    expect(result.iterations).toBeLessThan(50)
    expect(Math.abs(x.itemSync() - 1)).toBeLessThan(1e-7)
    expect(Math.abs(y.itemSync() - 1)).toBeLessThan(1e-7)
    expect(result.loss).toBe(loss().itemSync())
  })

  // In n dimensions exact line searches would need n steps.
  test.prop(
    [
      fc.array(
        fc.tuple(fc.double({ min: 0.1, max: 50, noNaN: true }), fc.double({ min: -9, max: 9, noNaN: true })),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
    ],
    { numRuns: 40 },
  )('finds the minimum of any bowl', async (axes) => {
    const w = f64(axes.map(() => 0))
    const scale = tensor(
      axes.map(([a]) => a),
      { dtype: 'float64' },
    )
    const centre = tensor(
      axes.map(([, b]) => b),
      { dtype: 'float64' },
    )
    const loss = (): Tensor => w.sub(centre).square().mul(scale).sum()
    const { converged } = await lbfgs(loss, [w], { gradientTolerance: 1e-7, lossTolerance: 0 })
    expect(converged).toBe(true)
    numbers(w).forEach((x, i) => expect(Math.abs(x - axes[i]![1])).toBeLessThan(1e-6))
  })

  test('fits a model to all data at once, in float32', async () => {
    setSeed(3)
    const m = sequential([dense(1, { inputShape: [3] })])
    const x = random.normal([40, 3], { seed: 1 })
    const y = x.matmul(tensor([[1], [-2], [0.5]])).add(0.25)
    const seen: number[] = []
    const result = await lbfgs(() => losses.meanSquaredError(y, m(x)).mean(), m.trainableWeights, {
      onIteration: ({ loss }) => void seen.push(loss),
    })
    expect(result.converged || result.reason === 'lineSearch').toBe(true)
    const [kernel, bias] = m.getWeights().map(numbers)
    ;[1, -2, 0.5].forEach((want, i) => expect(kernel![i]).toBeCloseTo(want, 4))
    expect(bias![0]).toBeCloseTo(0.25, 4)
    expect(seen).toEqual(seen.toSorted((a, b) => b - a))
    expect(seen.length).toBe(result.iterations)
  })

  test('goes around what is not finite', async () => {
    const w = f64([3])
    // Infinite from 0 down, where the first full steps lead.
    const loss = (): Tensor => w.sub(w.log().mul(0.01)).sum()
    const { converged } = await lbfgs(loss, [w], { lossTolerance: 0, gradientTolerance: 1e-6 })
    expect(converged).toBe(true)
    expect(w.itemSync()).toBeCloseTo(0.01, 6)
  })

  test('ends where it is told to', async () => {
    const w = f64([5, -3])
    const loss = (): Tensor => w.square().square().sum()
    expect(await lbfgs(loss, [w], { maxIterations: 2 })).toMatchObject({
      iterations: 2,
      reason: 'iterations',
      converged: false,
    })
    const stopped = await lbfgs(loss, [w], { onIteration: () => false })
    expect(stopped).toMatchObject({ iterations: 1, reason: 'stopped', converged: false })
    expect(stopped.loss).toBe(loss().itemSync())
  })

  test('leaves the variables as they were where it fails', async () => {
    const w = f64([5, -3])
    let calls = 0
    const broken = (): Tensor => {
      if (++calls === 3) throw new Error('no more')
      return w.square().sum()
    }
    await expect(lbfgs(broken, [w], { lossTolerance: 0 })).rejects.toThrow('no more')
    expect(numbers(w)).toEqual([5, -3])
    await expect(lbfgs(() => w.log().sum(), [w])).rejects.toThrow(NonFiniteError)
    expect(numbers(w)).toEqual([5, -3])
  })

  test('refuses what it cannot do', async () => {
    const w = f64([1])
    const loss = (): Tensor => w.square().sum()
    await expect(lbfgs(loss, [])).rejects.toThrow(ValueError)
    await expect(lbfgs(loss, [tensor([1])] as never)).rejects.toThrow(/variable 0 is Tensor, not a variable/)
    await expect(lbfgs(loss, [w], { maxIteration: 3 } as never)).rejects.toThrow(
      /Did you mean "maxIterations"/,
    )
    await expect(lbfgs(loss, [w], { historySize: 0 })).rejects.toThrow(
      /historySize must be a whole number >= 1/,
    )
    const m = sequential([dense(1, { inputShape: [1], kernelConstraint: 'non_neg' })])
    await expect(lbfgs(() => m(tensor([[1]])).sum(), m.trainableWeights)).rejects.toThrow(/has a constraint/)
  })
})
