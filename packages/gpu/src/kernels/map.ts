import { type Aval, type ScalarFunction, sizeOf } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { sourceOf, storedAs } from '../formula.js'
import { I, withIntegers } from '../text.js'
import { broadcastStrides, digitsOf, offsetOf, walkOf } from '../walk.js'
import { type Argument, array, integers, launch, launchWide, number, type Operand } from './launch.js'
import { foursOf, isOverMost, mapByFours, type Mode, threadsFor } from './map-by-fours.js'

/** out[i] = fn(x[i], y[i], …; params) */
export function map(
  device: Device,
  fn: ScalarFunction,
  params: readonly number[],
  inputs: readonly Operand[],
  out: Aval,
): Storage {
  const size = sizeOf(out.shape)
  const args: Argument[] = []
  const reads: string[] = []
  const strided: number[][] = []
  const stridedAt: number[] = []
  const modes = inputs.map(({ storage, shape }, i) => {
    if (typeof storage === 'number') {
      args.push(number(`a${i}`, storage))
      return 'n'
    }
    args.push(array(`x${i}`, storage))
    const own = sizeOf(shape)
    if (own === 1) return '1'
    if (own === size) return 'i'
    strided.push(broadcastStrides({ shape }, out.shape))
    stridedAt.push(i)
    return 's'
  })
  const { sides, strides } = walkOf(out.shape, strided)
  const rank = strided.length === 0 ? 0 : sides.length
  const { digits, quotients } = digitsOf(rank, I)
  modes.forEach((mode, i) => {
    if (mode === '1') reads.push(`const a${i} = x${i}[0];`)
    if (mode === 'i') reads.push(`const a${i} = x${i}[${I}];`)
    if (mode === 's') reads.push(`const a${i} = x${i}[${offsetOf(digits, `s${i}at`)}];`)
  })
  if (rank > 0) {
    args.push(...integers('n', sides))
    stridedAt.forEach((i, at) => args.push(...integers(`s${i}at`, strides[at]!)))
  }
  params.forEach((value, i) => args.push(number(`p${i}`, value)))
  const formula = sourceOf(fn.body)
  if (/\binf\b/.test(formula)) args.push(number('inf', Infinity))
  if (/\bnan\b/.test(formula)) args.push(number('nan', NaN))
  const stored = storedAs(formula, out.dtype)
  const key = `map ${modes.join('')} ${stored}`
  const body = (): string => withIntegers(quotients, `${reads.join('\n')}\nreturn ${stored};`)
  if (device.roomOf === undefined || size < LEAST_FOR_FOURS) return launch(device, key, args, size, body)
  // Four neighbours are in one row, or not: known by the innermost side.
  const areWhole = sides[0]! % 4 === 0
  const byFours = modes.map((mode, i): Mode =>
    mode !== 's' || !areWhole ? mode : strides[stridedAt.indexOf(i)]![0] === 0 ? 'c' : 'r',
  )
  const fours = foursOf(stored, byFours, size, device.roomOf(size))
  const threads = threadsFor(size, fours)
  return launchWide(
    device,
    `${key} by ${byFours.join('')} ${fours} ${isOverMost(threads)}`,
    args,
    size,
    1,
    body,
    {
      threads,
      wgsl: () => mapByFours(fn, byFours, rank, out.dtype, fours, isOverMost(threads)),
      readsFours: byFours.flatMap((mode, i) => (mode === 'i' || mode === 'r' ? [`x${i}`] : [])),
      writesFours: true,
    },
  )
}

/** So few elements are not worth a second kernel. */
const LEAST_FOR_FOURS = 2 ** 8
