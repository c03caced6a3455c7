import {
  checkpoint,
  detectAnomalies,
  grad,
  gradientTape,
  hvp,
  jacobian,
  NonFiniteError,
  TapeError,
  type Tensor,
  tensor,
  valueAndGrads,
  variable,
  vjp,
} from '@adjoint/core'
import { expect, test } from 'vitest'

const f64 = (values: number | number[]): Tensor => tensor(values, { dtype: 'float64' })

test('tapes may be closed in the order in which they were opened', () => {
  const [v, w] = [variable(f64(2)), variable(f64(3))]
  using first = gradientTape()
  using second = gradientTape()
  const y = v.square()
  expect(first.gradient(y, v).itemSync()).toBe(4)
  // Read for the first time when the first tape is closed already: by the second alone.
  const z = y.mul(w.square())
  expect(second.gradient(z, [v, w]).map((g) => g.itemSync())).toEqual([36, 24])
  expect(v.square().position).toBe(-1)
})

test('a tensor kept from another gradient is a constant', () => {
  let kept = f64(0)
  grad((x: Tensor) => (kept = x.mul(2).mul(3)))(f64(1))
  // The entries of this tape stand where those of the other one stood.
  expect(grad((x: Tensor) => x.mul(5).mul(7).mul(0).add(kept))(f64(1)).itemSync()).toBe(0)
})

test('a variable that is not trainable is a constant, unless it is watched', () => {
  const v = variable(f64(2), { trainable: false })
  const byItself = gradientTape()
  expect(() => byItself.gradient(v.square(), v)).toThrow(
    /^gradientTape.gradient: the tape does not watch xs, a variable that is not trainable; call tape.watch/,
  )
  expect(grad((x: Tensor) => x.mul(v))(f64(1)).itemSync()).toBe(2)
  const watching = gradientTape()
  watching.watch(v)
  expect(watching.gradient(v.square(), v).itemSync()).toBe(4)
})

test('what the tape has not seen has no gradient, which is not the same as zero', () => {
  const [x, w] = [f64(2), variable(f64(3), { name: 'w', trainable: false })]
  using tape = gradientTape({ persistent: true })
  const seen = f64(4)
  tape.watch(seen)
  const y = x.mul(seen).mul(w)
  const z = x.square()
  for (const [xs, what] of [
    [x, /does not watch xs, of shape \[\]/],
    [{ a: [seen, x] }, /does not watch xs\.a\[1\]/],
    [[w], /does not watch "w", a variable that is not trainable; call tape.watch/],
    [z, /does not watch xs/],
  ] as const) {
    expect(() => tape.gradient(y, xs as Tensor)).toThrow(TapeError)
    expect(() => tape.gradient(y, xs as Tensor)).toThrow(what)
  }
  expect(tape.gradient(y, [seen, y]).map((g) => g.itemSync())).toEqual([6, 1])
  // Seen, and without influence.
  expect(tape.gradient(seen.mul(2), [y, variable(f64(1))]).map((g) => g.itemSync())).toEqual([0, 0])
})

test('a tensor may be watched by a tape inside another one, and is what it was afterwards', () => {
  const x = f64(3)
  using outer = gradientTape()
  outer.watch(x)
  const y = x.square()
  const inner = gradientTape()
  inner.watch([x, y])
  const z = y.mul(x)
  const [dx, dy] = inner.gradient(z, [x, y])
  expect([dx.itemSync(), dy.itemSync()]).toEqual([9, 3])
  // d/dx (x² + 3 x² x) = 2x + 9x²
  expect(outer.gradient(y.add(z.mul(3)), x).itemSync()).toBe(6 + 81)
})

test('one tensor as several arguments, values and variables counts each time', () => {
  const x = f64([1, 2])
  const [, pullback] = vjp((a: Tensor, b: Tensor) => a.mul(b), [x, x])
  expect(pullback(f64([1, 1])).map((g) => [...g.dataSync()])).toEqual([
    [1, 2],
    [1, 2],
  ])
  const [, both] = vjp((a: Tensor) => [a, a, a.mul(2)], [x])
  expect([...both([x, x, x])[0].dataSync()]).toEqual([4, 8])
  const v = variable(x)
  const { grads } = valueAndGrads(() => v.mul(v).mul(v).sum(), [v, v])
  expect(grads.map((g) => [...g.dataSync()])).toEqual([
    [3, 12],
    [3, 12],
  ])
})

test('a pullback may be called later, inside another gradient', () => {
  const [, pullback] = vjp((x: Tensor) => x.powScalar(3), [f64(2)])
  expect(grad((g: Tensor) => pullback(g.square())[0])(f64(5)).itemSync()).toBe(120)
  const rows = jacobian((g: Tensor) => pullback(g.mul(1))[0].reshape([1]))(f64(1))
  expect([rows.shape, rows.itemSync()]).toEqual([[1], 12])
})

test('gradients have the dtypes of what they are by, whatever it was computed with', () => {
  const [x, y] = [tensor([1, 2], { dtype: 'float32' }), f64([3, 4])]
  const [out, pullback] = vjp((a: Tensor, b: Tensor) => a.mul(b), [x, y])
  expect(out.dtype).toBe('float64')
  expect(pullback(f64([1, 1])).map((g) => [g.dtype, ...g.dataSync()])).toEqual([
    ['float32', 3, 4],
    ['float64', 1, 2],
  ])
})

test('a Hessian of two arguments takes each tangent where it belongs', () => {
  const [x, y, u, v] = [f64(2), f64(3), f64(5), f64(7)]
  // f = x² y: the Hessian is [[2y, 2x], [2x, 0]].
  const products = hvp((a: Tensor, b: Tensor) => a.square().mul(b))([x, y], [u, v])
  expect(products.map((p) => p.itemSync())).toEqual([2 * 3 * 5 + 2 * 2 * 7, 2 * 2 * 5])
})

test('anomalies are looked for inside detectAnomalies only, also after it has thrown', () => {
  const negative = f64(-1)
  expect(() => detectAnomalies(() => negative.log())).toThrow(NonFiniteError)
  expect(negative.log().itemSync()).toBeNaN()
})

test('a gradient through a checkpoint leaves a persistent tape as it was', () => {
  const x = f64(2)
  using tape = gradientTape({ persistent: true })
  tape.watch(x)
  const y = checkpoint((a: Tensor) => a.square().exp())(x).mul(3)
  const text = String(tape)
  expect(tape.gradient(y, x).itemSync()).toBeCloseTo(12 * Math.exp(4), 9)
  expect(String(tape)).toBe(text)
  // The next op is recorded right behind the last one.
  expect(y.mul(1).position).toBe(y.position + 1)
})
