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
  const checked = (got: Storage, want: (i: number) => number): void => {
    const given = device.readSync(got)
    device.free(got)
    const at = given.findIndex((value, i) => value !== want(i))
    if (at >= 0) throw new Error(`a trial gave ${given[at]} at ${at} where ${want(at)} is right`)
  }
  const mapped = device.run(
    device.program('trial of a map', () => MAP),
    args,
    LENGTH,
  )
  checked(mapped, (i) => values[i]! * 100 + values[LENGTH - 1 - i]! * 10 + i)
  const four = device.runFour(
    device.program('trial of four', () => FOUR),
    args,
    LENGTH,
  )
  four?.forEach((got, of) => {
    checked(got, (i) => values[i]! + of)
  })
  device.free(x)
}
// Several rows of texels, the last of them not whole.
const LENGTH = 53
