/** Functions of a few tensors, made at random of ops that read their operands at other places than their own. */
import {
  compile,
  concat,
  cumsum,
  flip,
  gather,
  grad,
  logSumExp,
  matmul,
  maximum,
  pad,
  setBackend,
  sigmoid,
  slice,
  softmax,
  stack,
  sum,
  tanh,
  tensor,
  type Tensor,
  transpose,
  variance,
} from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import type { GpuBackend } from '@adjoint/gpu'
import { lcg } from './lcg.js'

const SIDES = [1, 1, 2, 3, 5]

interface Program {
  readonly args: () => readonly Tensor[]
  readonly f: (...args: readonly Tensor[]) => Tensor[]
}

/** Where the plan of a random function of so many ops gives something else than the CPU does op by op. */
export async function randomPlanApart(gpu: GpuBackend, seed: number, ops: number): Promise<string[]> {
  const { args, f } = randomProgram(seed, ops)
  const results = async (g: typeof f): Promise<ArrayLike<number>[]> =>
    Promise.all(g(...args()).map((x) => x.data()))
  setBackend(cpuBackend)
  const want = await results(f)
  setBackend(gpu)
  try {
    const got = await results(compile(f))
    return want.flatMap((right, r) => {
      const scale = Math.max(1, ...Array.from(right, Math.abs))
      const i = Array.from(right).findIndex((value, at) => !(Math.abs(value - got[r]![at]!) < 1e-4 * scale))
      return i < 0 ? [] : [`program ${seed}, result ${r} [${i}] is ${got[r]![i]}, on the CPU ${right[i]}`]
    })
  } catch (error) {
    return [`program ${seed}: ${String(error)}`]
  } finally {
    setBackend(cpuBackend)
  }
}

/** A function of two matrices and a vector. */
function randomProgram(seed: number, ops: number): Program {
  const [m, n] = lcg(seed, 4)
    .slice(2)
    .map((at) => SIDES[Math.floor(at * SIDES.length)]!) as [number, number]
  return {
    args: () =>
      [[m, n], [m, n], [n]].map((shape, i) => {
        const size = shape.reduce((a, b) => a * b)
        const values = lcg(seed + 1000 * (i + 1), size).map((at) => 2 * at - 1)
        return tensor(values, { shape })
      }),
    f: (...args) => {
      // The same choices each time it is recorded.
      const drawn = lcg(seed, 16 * (ops + 4)).slice(4)
      const below = (k: number): number => Math.floor(drawn.shift()! * k)
      const pool = [...args]
      for (let i = 0; i < ops; i++) {
        const x = pool[below(2) === 0 ? pool.length - 1 : below(pool.length)]!
        const made = OPS[below(OPS.length)]!(x, pool[below(pool.length)]!, below)
        if (made !== undefined && made.size <= 2000) pool.push(made)
      }
      const wrt = pool[below(args.length)]!
      const slope = grad((y: Tensor) => {
        const z = OPS[below(OPS.length)]!(y, y, below) ?? y
        return sum(tanh(OPS[below(OPS.length)]!(z, z, below) ?? z))
      })(wrt)
      return [pool.at(-1)!, pool[below(pool.length)]!, slope]
    },
  }
}

type Op = (x: Tensor, y: Tensor, below: (k: number) => number) => Tensor | undefined

const hasSameShape = (x: Tensor, y: Tensor): boolean => x.shape.join() === y.shape.join()
const isMatrix = (x: Tensor): boolean => x.shape.length === 2

/** Ops of a tensor and of another, where they take these; `along` an axis of the first where there is one. */
const along =
  (op: (x: Tensor, axis: number, y: Tensor, below: (k: number) => number) => Tensor | undefined): Op =>
  (x, y, below) =>
    x.shape.length === 0 ? undefined : op(x, below(x.shape.length), y, below)

const OPS: readonly Op[] = [
  (x) => tanh(x),
  (x) => sigmoid(x).mul(x),
  (x, y) => (hasSameShape(x, y) ? tanh(x).mul(y) : x.mul(0.5)),
  (x, y) => (hasSameShape(x, y) ? maximum(x, y.add(0.125)) : x.sub(y.mean())),
  (x, y, below) => stack([x, hasSameShape(x, y) ? y : x.mul(2)], below(x.shape.length + 1)),
  along((x, axis, y) => concat([x, hasSameShape(x, y) ? y : x.neg()], axis)),
  along((x, axis, _, below) => sum(x, axis, below(2) === 0)),
  along((x, axis) => logSumExp(x, axis)),
  along((x, axis) => variance(x, { axis, keepDims: true })),
  along((x, axis) => softmax(x, axis)),
  along((x, axis) => cumsum(x, axis)),
  along((x, axis) => flip(x, axis)),
  along((x, axis, _, below) =>
    gather(x, tensor([below(x.shape[axis]!), below(x.shape[axis]!)], { dtype: 'int32' }), axis),
  ),
  along((x, _, __, below) => {
    const begin = x.shape.map((length) => below(length))
    return slice(
      x,
      begin,
      x.shape.map((length, axis) => 1 + below(length - begin[axis]!)),
    )
  }),
  along((x, _, __, below) =>
    pad(x, { paddings: x.shape.map(() => [below(2), below(3)] as const), value: 0.25 }),
  ),
  along((x) => x.reshape([x.size])),
  (x) => (isMatrix(x) ? transpose(x) : undefined),
  (x, y) => (isMatrix(x) && isMatrix(y) && x.shape[1] === y.shape[0] ? matmul(tanh(x), y) : undefined),
  (x) => (isMatrix(x) ? matmul(tanh(x), x, false, true) : undefined),
]
