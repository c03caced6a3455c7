import type { Source, Storage } from './device.js'
import { I, withIntegers } from './text.js'
import type { WebGlDevice } from './webgl-device.js'

/** Reads here and elsewhere, and knows where it is. */
const MAP: Source = {
  args: [
    ['x', 'array'],
    ['last', 'integer'],
  ],
  body: withIntegers([['at', `last - ${I}`]], `return x[${I}] * 100 + x[at] * 10 + ${I};`),
}

/** Reads some texels further on, and one value; gives twice that also. */
const PART: Source = {
  args: [
    ['x', 'array'],
    ['by', 'integer'],
    ['one', 'integer'],
  ],
  body: `let twice = 0.0;
twice = 2 * (x[${I} + 4 * by] * 100 + x[one] * 10 + ${I});
return twice / 2;`,
  also: ['twice'],
}

const FOUR: Source = {
  ...MAP,
  glsl: [0, 1, 2, 3]
    .map(
      (i) => `four${i} = ${i}.0 + texelFetch(user_x, ivec2(index & user_xSize.x, index >> user_xSize.y), 0);`,
    )
    .join('\n  '),
}

/** @throws Error where a driver computes otherwise than it should what this package writes in place of gpu.js. */
export function checkTexts(device: WebGlDevice): void {
  const values = Float32Array.from({ length: LENGTH }, (_, i) => i % 7)
  const x = device.upload(values)
  const args = [x, LENGTH - 1]
  const check = (given: Float32Array, want: (i: number) => number): void => {
    const at = given.findIndex((value, i) => value !== want(i))
    if (at >= 0) throw new Error(`a trial gave ${given[at]} at ${at} where ${want(at)} is right`)
  }
  const taken = (storage: Storage): Float32Array => {
    const read = device.readSync(storage)
    device.free(storage)
    return read
  }
  const mapped = device.run(
    device.program('trial of a map', () => MAP),
    args,
    LENGTH,
  )
  check(taken(mapped), (i) => values[i]! * 100 + values[LENGTH - 1 - i]! * 10 + i)
  // One within a row, and one of several.
  const parts = device.partsOf(LENGTH)
  const wholes = [1, 2, 3].map(() => parts.allocate(2 * LENGTH))
  let end = 0
  const places = [8, 40].map((length) => {
    const at = parts.next(end, length)
    end = at + length
    return { at, length }
  })
  const part = device.program('trial of a part', () => PART)
  let isTaken = true
  for (const { at, length } of places) {
    const [one, ...two] = wholes.map((storage) => ({ storage, at }))
    device.run(part, [x, 2, 5], length, undefined, one)
    isTaken &&= device.runTogether(part, [x, 2, 5], length, two)
  }
  const [alone, ...together] = wholes.map(taken)
  const right = (i: number): number => values[i + 8]! * 100 + values[5]! * 10 + i
  for (const { at, length } of places) {
    check(alone!.subarray(at, at + length), right)
    if (isTaken)
      together.forEach((written, by) => {
        check(written.subarray(at, at + length), (i) => right(i) * (by + 1))
      })
  }
  const four = device.runFour(
    device.program('trial of four', () => FOUR),
    args,
    LENGTH,
  )
  four?.forEach((got, of) => {
    check(taken(got), (i) => values[i]! + of)
  })
  device.free(x)
}
// Several rows of texels, the last of them not whole.
const LENGTH = 53
