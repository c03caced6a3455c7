// What kernels made of several runs hold once one of the runs fails, on a device that only counts.
import { LimitError } from '@adjoint/core'
import { expect, test } from 'vitest'
import type { Device, Storage } from '../../packages/gpu/src/device.js'
import { cumulate } from '../../packages/gpu/src/kernels/cumulate.js'
import { gatherFar, scatterAddSorted } from '../../packages/gpu/src/kernels/gathering.js'
import type { Operand } from '../../packages/gpu/src/kernels/launch.js'
import { matmul } from '../../packages/gpu/src/kernels/matmul.js'
import { concat } from '../../packages/gpu/src/kernels/movement.js'
import { reduce, softmax } from '../../packages/gpu/src/kernels/reductions.js'

/** A device whose run number `failing` throws, and what it holds. */
function counting(packs: boolean, failing: number): { device: Device; held: Set<Storage> } {
  const held = new Set<Storage>()
  let runs = 0
  const made = (length: number): Storage => {
    const storage = { length }
    held.add(storage)
    return storage
  }
  const start = (): void => {
    if (runs++ === failing) throw new LimitError('no more')
  }
  const device: Pick<Device, 'packs' | 'mostArrays' | 'program' | 'upload' | 'run' | 'runFour' | 'free'> = {
    packs,
    mostArrays: 4,
    program: (_, source) => ({ source: source() }),
    upload: ({ length }) => made(length),
    run(_program, _args, length) {
      start()
      return made(length)
    },
    runFour(_program, _args, length) {
      start()
      return [made(length), made(length), made(length), made(length)]
    },
    free(storage) {
      if (!held.delete(storage)) throw new Error('freed twice')
    },
  }
  return { device: device as Device, held }
}

const of = (...shape: number[]): Operand => ({
  shape,
  dtype: 'float32',
  storage: { length: shape.reduce((a, b) => a * b, 1) },
})

const KERNELS: Readonly<Record<string, (device: Device) => Storage>> = {
  softmax: (device) => softmax(device, 1, false, of(4, 1000)),
  variance: (device) =>
    reduce(device, { kind: 'reduce', op: 'variance', axes: [0, 2] }, of(8, 3, 512), of(3)),
  norm: (device) => reduce(device, { kind: 'reduce', op: 'norm', axes: [0] }, of(5000), of()),
  'matmul of sides that are not whole': (device) =>
    matmul(device, { transposeA: true, transposeB: true }, of(70, 33), of(29, 70), of(33, 29)),
  'running product': (device) =>
    cumulate(
      device,
      { x: { length: 9000 }, decay: { length: 9000 }, outer: 1, count: 9000, inner: 1 },
      false,
      0,
    ),
  concat: (device) =>
    concat(
      device,
      0,
      Array.from({ length: 9 }, () => of(2)),
      of(18),
    ),
  gatherFar: (device) => gatherFar(device, 0, of(9), [1, 2], of(2)),
  scatterAdd: (device) => scatterAddSorted(device, 0, of(9), [1, 2], of(2)),
}

test.each(Object.keys(KERNELS))('%s holds nothing once a run fails', (name) => {
  for (const packs of [false, true]) {
    let failing = 0
    for (; ; failing++) {
      const { device, held } = counting(packs, failing)
      try {
        const result = KERNELS[name]!(device)
        expect([...held]).toEqual([result])
        break
      } catch (error) {
        expect(error).toBeInstanceOf(LimitError)
        expect(held.size, `run ${failing}`).toBe(0)
      }
    }
    expect(failing).toBeGreaterThan(0)
  }
})
