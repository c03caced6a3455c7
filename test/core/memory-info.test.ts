import { compile, memory, ones } from '@adjoint/core'
import { expect, test } from 'vitest'

test('memory tells the bytes of eager ops and of plans', () => {
  const before = memory()
  expect(before.eager % 65_536).toBe(0)
  expect(before.plans.held).toBe(0)

  const f = compile((x: ReturnType<typeof ones>) => x.mul(2).exp().sum())
  const x = ones([1000, 1000])
  for (let i = 0; i < 3; i++) f(x)
  const { plans } = memory()
  // The input at least.
  expect(plans.held).toBeGreaterThan(4e6)
  expect(plans.bytes).toBeGreaterThanOrEqual(plans.held)

  for (let i = 0; i < 3; i++) f(x)
  expect(memory().plans.held).toBeLessThanOrEqual(plans.held)

  ones([2000, 1000])
    .matmul(ones([1000, 1]))
    .dataSync()
  expect(memory().eager).toBeGreaterThan(Math.max(before.eager, 8e6))
})
