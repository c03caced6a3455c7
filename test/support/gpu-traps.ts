/**
 * What gpu.js, drivers and float32 are known to get wrong, each as something that comes out right all the same. All of
 * it runs in Node on webgpu (test/gpu/device.test.ts) and in Chromium on webgl2 and webgpu (test/gpu/browser.test.ts).
 */
import {
  argMax,
  arange,
  clip,
  compile,
  concat,
  cumsum,
  expm1,
  exp,
  gather,
  grad,
  isNaN as isNaNOf,
  log1p,
  logSumExp,
  matmul,
  maximum,
  ones,
  pow,
  scatterAdd,
  sin,
  slice,
  sum,
  tanh,
  tensor,
  type Tensor,
  zeros,
} from '@adjoint/core'
import { call, elementwise } from '@adjoint/core/extend'

export interface Trap {
  readonly name: string
  /** What comes out, and what is right. */
  readonly run: () => Promise<readonly [got: unknown, want: unknown]>
  /** For runs with time. */
  readonly isSlow?: boolean
}

const values = async (x: Tensor): Promise<number[]> => [...(await x.data())]
const int = (...numbers: number[]): Tensor => tensor(numbers, { dtype: 'int32' })
/** On the device, and not on the host. */
const made = (x: Tensor): Tensor => x.add(0)

/** The remainders by 1009 of so many numbers from 0. */
function remainders(size: number): Float32Array {
  const numbers = new Float32Array(size)
  for (let i = 0; i < size; i++) numbers[i] = i % 1009
  return numbers
}

/** x + 0, x + 1 …: more ops than kernels are remembered. A name can be taken once, and a page tries several modes. */
const manyRows = once(() =>
  Array.from({ length: 1100 }, (_, i) =>
    elementwise({ name: `plus${i}`, args: ['x'], expr: `x + ${i}`, vjp: null }),
  ),
)

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

const LONG = 2 ** 24 + 1000

export const traps: readonly Trap[] = [
  {
    name: 'one kernel takes operands of any size, one after the other',
    async run() {
      const sizes = [3, 300, 7, 5000, 1]
      const got: number[] = []
      for (const n of sizes) got.push(...(await values(sum(exp(made(zeros([n]))).add(ones([n]))))))
      return [got, sizes.map((n) => 2 * n)]
    },
  },
  {
    name: 'one kernel takes operands of any rank, one after the other',
    async run() {
      const numbers = tensor([1, 2, 3, 4, 5, 6])
      const shapes = [[6], [2, 3], [1, 6, 1], [6]]
      const got = await Promise.all(shapes.map((shape) => values(made(numbers).reshape(shape).mul(2).sum())))
      return [got, shapes.map(() => [42])]
    },
  },
  {
    name: 'one kernel takes what was uploaded, then what was computed, and back',
    async run() {
      const x = tensor([1, 2])
      return [
        [await values(x.sqrt()), await values(made(x).sqrt()), await values(x.sqrt())].map((r) => r[0]),
        [1, 1, 1],
      ]
    },
  },
  {
    name: 'small outputs have all digits of float32',
    async run() {
      const most = made(tensor(2 ** 24 - 1))
      return [await values(most.sub(1)), [2 ** 24 - 2]]
    },
  },
  {
    name: 'loops longer than gpu.js allows are whole',
    async run() {
      const n = 70_000
      const line = ones([1, n])
      return [
        [
          ...(await values(matmul(line, ones([n, 1])))),
          ...(await values(sum(line))),
          ...(await values(argMax(arange(n)))),
          (await values(cumsum(ones([n])))).at(-1),
        ],
        [n, n, n - 1, n],
      ]
    },
  },
  {
    name: 'outputs longer than the side of a texture are whole',
    async run() {
      const n = 100_003
      const got = await values(
        made(arange(n))
          .add(1)
          .slice([n - 3], [3]),
      )
      return [got, [n - 2, n - 1, n]]
    },
  },
  {
    name: 'positions beyond 2^24 are exact',
    async run() {
      const at = LONG - 7
      const long = tensor(remainders(LONG))
      const rows = long.reshape([LONG / 8, 8])
      return [
        [
          await values(gather(long, int(LONG - 3, 2 ** 24 + 3))),
          await values(slice(long, [at], [5])),
          await values(gather(rows, int(LONG / 8 - 1))),
        ],
        [
          [(LONG - 3) % 1009, (2 ** 24 + 3) % 1009],
          [0, 1, 2, 3, 4].map((i) => (at + i) % 1009),
          Array.from({ length: 8 }, (_, i) => (LONG - 8 + i) % 1009),
        ],
      ]
    },
  },
  {
    name: 'positions beyond 2^24 are exact where axes change places',
    isSlow: true,
    async run() {
      // A stride that is not the output's: each position is taken apart.
      const rows = tensor(remainders(LONG)).reshape([LONG / 8, 8])
      const got = await values(slice(rows.transpose().reshape([LONG]), [LONG - 3], [3]))
      return [got, [3, 2, 1].map((i) => (8 * (LONG / 8 - i) + 7) % 1009)]
    },
  },
  {
    name: 'gradients go to positions beyond 2^24, also from a plan, and the largest is found there',
    isSlow: true,
    async run() {
      const slope = grad((x: Tensor) =>
        gather(x, int(LONG - 3, 2 ** 24 + 3))
          .mul(tensor([2, 3]))
          .sum(),
      )
      const at = async (x: Tensor): Promise<number[]> => [
        ...(await values(x.slice([LONG - 4], [3]))),
        ...(await values(x.slice([2 ** 24 + 2], [3]))),
      ]
      const long = tensor(remainders(LONG))
      const peak = new Float32Array(LONG)
      peak[LONG - 3] = 1
      return [
        [await values(argMax(tensor(peak))), await at(slope(long)), await at(compile(slope)(long))],
        [[LONG - 3], [0, 2, 0, 0, 3, 0], [0, 2, 0, 0, 3, 0]],
      ]
    },
  },
  {
    name: 'more than 2^24 indices go to their places',
    isSlow: true,
    async run() {
      const [at, updates] = [new Int32Array(LONG), new Float32Array(LONG)]
      at[LONG - 2] = 1
      updates.set([3, 5, 7], LONG - 3)
      return [await values(scatterAdd(zeros([3]), tensor(at), tensor(updates))), [10, 5, 0]]
    },
  },
  {
    name: 'more inputs than a kernel can read are joined',
    async run() {
      const parts = Array.from({ length: 20 }, (_, i) =>
        made(
          tensor([
            [i, i],
            [i, i],
          ]),
        ),
      )
      return [await values(concat(parts, 1).add(0)), [0, 1].flatMap(() => parts.flatMap((_, i) => [i, i]))]
    },
  },
  {
    name: 'tensors without elements need no kernel',
    async run() {
      const none = zeros([0, 3])
      return [
        [
          await values(none.add(1)),
          await values(sum(none, 0)),
          await values(matmul(zeros([2, 0]), none)),
          await values(concat([none, tensor([[1, 2, 3]])], 0).add(1)),
        ],
        [[], [0, 0, 0], [0, 0, 0, 0, 0, 0], [2, 3, 4]],
      ]
    },
  },
  {
    name: 'infinities are infinite, and NaN is seen',
    async run() {
      return [
        [
          await values(made(tensor([1, -1, 0])).div(0)),
          await values(maximum(made(tensor([NaN, 1])), tensor([1, NaN]))),
          await values(isNaNOf(made(tensor([NaN, Infinity, 1])))),
          await values(logSumExp(made(tensor([-Infinity, -Infinity])))),
          await values(clip(made(tensor([-5, 5])), -Infinity, 1)),
        ],
        [[Infinity, -Infinity, NaN], [NaN, NaN], [1, 0, 0], [-Infinity], [-5, 1]],
      ]
    },
  },
  {
    name: 'what a kernel returns four by four is read one by one',
    async run() {
      const n = 24
      const product = matmul(made(ones([n, n])), made(ones([n, n])))
      return [
        [
          ...(await values(product.add(1).slice([5, 3], [1, 2]))),
          ...(await values(matmul(product, product).slice([0, 0], [1, 1]))),
        ],
        [n + 1, n + 1, n ** 3],
      ]
    },
  },
  {
    name: 'kernels that were made are right after many others, of which the oldest are forgotten',
    isSlow: true,
    async run() {
      const x = made(tensor([1, 2, 3]))
      const rows = manyRows()
      const last = rows.map((row) => call(row, [x], {})).at(-1)!
      return [
        [await values(last), await values(call(rows[0]!, [x], {})), await values(x.mul(2))],
        [
          [1100, 1101, 1102],
          [1, 2, 3],
          [2, 4, 6],
        ],
      ]
    },
  },
  {
    name: 'functions hold where devices have no digits',
    async run() {
      const near = async (x: Tensor, want: number): Promise<boolean> =>
        Math.abs((await values(x))[0]! / want - 1) < 1e-6
      return [
        [
          await values(tanh(made(tensor([100, -100, 1e-6])))),
          await near(expm1(made(tensor([1e-6]))), 1.0000005e-6),
          await near(log1p(made(tensor([1e-6]))), 9.999995e-7),
          await near(sin(made(tensor([3]))), Math.sin(3)),
          await values(pow(made(tensor([-2, -2, 0])), tensor([3, 2, 0]))),
        ],
        [[1, -1, Math.fround(1e-6)], true, true, true, [-8, 4, 1]],
      ]
    },
  },
]
