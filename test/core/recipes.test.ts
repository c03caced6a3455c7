import { compile, hypot, random, tensor, type Tensor, variable, zeros } from '@adjoint/core'
import { input, lambda, model } from '@adjoint/layers'
import { expect, test } from 'vitest'

// Large values that leave the ring of eager memory are not copied out where they can be computed again: nobody may notice.

const SIDE = 110
const SIZE = SIDE * SIDE
const MB = 2 ** 20

/** Makes so many values that all those before have to leave the ring. */
function turn(): void {
  const x = zeros([300, 300])
  for (let bytes = 0; bytes < 6 * MB; bytes += 4 * x.size) x.add(bytes)
}

/** Where arrays differ in the first bit. Matchers take seconds for so many numbers. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (!Object.is(a[i], b[i])) return i
  return -1
}

const made = (scale: number): Tensor =>
  tensor(
    Float32Array.from({ length: SIZE }, (_, i) => ((i * 7919) % SIZE) * scale - 0.5),
    { shape: [SIDE, SIDE] },
  )

test('values that are held stay as they are to the last bit, whatever they were made of and in whatever order they are asked for', () => {
  const [x, y] = [made(1 / SIZE), made(3 / SIZE)]
  const all: Tensor[] = [x.exp(), x.mul(y), x.less(y), x.cast('float64'), x.clip(-0.25, 0.25), x.sub(1)]
  for (let i = 0; i < 14; i++) {
    const last = all.at(-1)!
    all.push(i % 3 === 0 ? last.tanh() : i % 3 === 1 ? last.mul(all.at(-5)!.cast('float32')) : last.add(x))
  }
  const before = all.map((value) => value.dataSync())
  turn()
  for (const at of all.keys()) expect(difference(all.at(-1 - at)!.dataSync(), before.at(-1 - at)!)).toBe(-1)
  turn()
  // Also as operands, several of which have to be computed first.
  const sums = all
    .slice(1)
    .map((value, i) => value.cast('float32').mul(all[i]!.cast('float32')).sum().itemSync())
  const fresh = before.map((values) => tensor(values, { shape: [SIDE, SIDE], dtype: 'float32' }))
  expect(sums).toEqual(fresh.slice(1).map((value, i) => value.mul(fresh[i]!).sum().itemSync()))
})

test('values of megabytes do so too', () => {
  const shape = [301, 1001]
  const x = tensor(
    Float32Array.from({ length: 301 * 1001 }, (_, i) => Math.sin(i)),
    { shape },
  )
  const all: Tensor[] = [x.add(1), x.softmax(), x.mul(x.slice([0, 0], [1, 1]))]
  for (let i = 0; i < 9; i++) {
    const last = all.at(-1)!
    all.push(i % 3 === 0 ? last.softmax(0) : i % 3 === 1 ? last.mul(all.at(-3)!) : last.sub(0.1))
  }
  const before = all.map((value) => value.dataSync())
  // Some have left the ring by now; this moves the others out.
  for (let i = 0; i < 25; i++) x.add(i)
  for (const at of all.keys()) expect(difference(all.at(-1 - at)!.dataSync(), before.at(-1 - at)!)).toBe(-1)
  // They are operands beside one that is in the ring still.
  const [held, fresh] = [all.at(-1)!.mul(x.add(3)), tensor(before.at(-1)!, { shape }).mul(x.add(3))]
  expect(difference(held.dataSync(), fresh.dataSync())).toBe(-1)
  let sum = x.sub(x)
  for (let i = 0; i < 60; i++) sum = sum.add(1)
  expect(sum.sum().itemSync()).toBe(60 * x.size)
})

test('what is read again and again stays right while it comes and goes', () => {
  const many = Array.from({ length: 12 }, (_, k) => made((k + 1) / SIZE))
  const first = many.map((x, k) => x.mul(many[(k + 5) % 12]!).dataSync())
  const large = zeros([1000, 1000])
  for (let round = 0; round < 30; round++) {
    many.forEach((x, k) => {
      const product = x.mul(many[(k + 5) % 12]!)
      if (round % 6 === 5) expect(difference(product.dataSync(), first[k]!)).toBe(-1)
    })
    // All leave the ring that they are held in.
    if (round % 7 === 3) for (let i = 0; i < 8; i++) large.add(i)
  }
})

test('a value outlives what it was made of', () => {
  const x = made(1 / SIZE)
  const y = x.mul(2)
  const before = y.dataSync()
  x.dispose()
  turn()
  expect(difference(y.dataSync(), before)).toBe(-1)
})

test('a long chain is not computed again from its beginning', () => {
  let x = made(0)
  for (let i = 0; i < 5000; i++) x = x.add(1)
  turn()
  expect(x.dataSync()[SIZE - 1]).toBe(4999.5)
})

test('nor is one whose values are in two rings by turns', () => {
  // 400 KB and 800 KB.
  let x = zeros([100_000], 'float64')
  for (let i = 0; i < 1500; i++) x = x.cast('float32').add(1).cast('float64')
  let other = zeros([100_000], 'float64')
  for (let i = 0; i < 60; i++) {
    other = other.add(1)
    other.cast('float32').add(1)
  }
  expect(x.dataSync().at(-1)).toBe(1500)
})

test('memory that grows while one operand is computed again leaves the others where they are seen', () => {
  const x = random.normal([2, 10 ** 6], { seed: 1 })
  const y = x.softmax()
  for (let i = 0; i < 4; i++) x.add(i)
  const a = x.mul(2)
  const [out, at, yt] = [hypot(a, y), a, y].map((value) => value.dataSync())
  const differs = out!.findIndex((value, i) => Math.abs(value - Math.hypot(at![i]!, yt![i]!)) > 1e-5 * value)
  expect(differs).toBe(-1)
  expect(out!.some(Number.isNaN)).toBe(false)
})

test('a value made of a variable is what it was when a plan has changed the variable where it lies', () => {
  const v = variable(made(1 / SIZE))
  const step = compile(() => v.assign(v.mul(3)))
  step()
  const y = v.exp()
  const before = y.dataSync()
  turn()
  step()
  step()
  expect(difference(y.dataSync(), before)).toBe(-1)
})

test('and so is a prediction when the data that it was made of have changed', async () => {
  const x = input({ shape: [1] })
  const doubled = model({ inputs: x, outputs: lambda((t) => t.mul(2))(x) })
  const data = made(1 / SIZE).dataSync() as Float32Array
  const y = (await doubled.predict(data, { batchSize: SIZE })) as Tensor
  const before = y.dataSync()
  turn()
  data.fill(7)
  expect(difference(y.dataSync(), before)).toBe(-1)
})
