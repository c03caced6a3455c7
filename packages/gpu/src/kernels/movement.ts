import { type Aval, sizeOf, stridesOf } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { I, withIntegers } from '../text.js'
import { digitsOf, offsetOf, walkOf } from '../walk.js'
import { array, inSteps, integer, integers, launch, number, type Operand } from './launch.js'

/** out[i, j, …] = x[start + i * strides[0] + j * strides[1] + …] for all positions of `shape`. */
export function copy(
  device: Device,
  x: Storage,
  start: number,
  strides: readonly number[],
  shape: readonly number[],
): Storage {
  const { sides, strides: merged } = walkOf(shape, [strides])
  const { digits, quotients } = digitsOf(sides.length, I)
  const args = [array('x', x), integer('start', start), ...integers('n', sides), ...integers('s', merged[0]!)]
  return launch(device, 'copy', args, sizeOf(shape), () =>
    withIntegers(quotients, `return x[start + ${offsetOf(digits, 's')}];`),
  )
}

export function permute(device: Device, perm: readonly number[], x: Operand, out: Aval): Storage {
  const strides = stridesOf(x.shape)
  return copy(
    device,
    x.storage as Storage,
    0,
    perm.map((axis) => strides[axis]!),
    out.shape,
  )
}

interface Range {
  readonly begin: readonly number[]
  readonly strides: readonly number[]
}

export function slice(device: Device, { begin, strides }: Range, x: Operand, out: Aval): Storage {
  const own = stridesOf(x.shape)
  return copy(
    device,
    x.storage as Storage,
    begin.reduce((sum, b, axis) => sum + b * own[axis]!, 0),
    strides.map((s, axis) => s * own[axis]!),
    out.shape,
  )
}

/** x at begin + i * strides of the output, `value` elsewhere. A position finds out whether it is one of them. */
export function place(
  device: Device,
  range: Range & { readonly value: number },
  x: Operand,
  out: Aval,
): Storage {
  const rank = out.shape.length
  if (rank === 0) return copy(device, x.storage as Storage, 0, [], [])
  const own = stridesOf(x.shape)
  // From the innermost axis out; a range that runs backwards is one that runs forwards over a reversed x.
  const axes = out.shape.map((_, i) => rank - 1 - i)
  const isBack = (axis: number): boolean => range.strides[axis]! < 0
  const last = (axis: number): number => Math.max(x.shape[axis]! - 1, 0)
  const begin = axes.map((a) => range.begin[a]! + (isBack(a) ? last(a) * range.strides[a]! : 0))
  const start = axes.reduce((sum, a) => sum + (isBack(a) ? last(a) * own[a]! : 0), 0)
  const args = [
    array('x', x.storage as Storage),
    number('value', range.value),
    integer('start', start),
    ...integers(
      'n',
      axes.map((a) => out.shape[a]!),
    ),
    ...integers('b', begin),
    ...integers(
      't',
      axes.map((a) => Math.abs(range.strides[a]!)),
    ),
    ...integers(
      'm',
      axes.map((a) => x.shape[a]!),
    ),
    ...integers(
      's',
      axes.map((a) => (isBack(a) ? -own[a]! : own[a]!)),
    ),
  ]
  return launch(device, 'place', args, sizeOf(out.shape), () => {
    const { digits, quotients } = digitsOf(rank, I)
    // j is how far from the beginning, k which element of x that is.
    const found = digits.map((_, i) => [`k${i}`, `idiv(${digits[i]} - b${i}, t${i})`] as const)
    const isThere = digits.map((d, i) => `${d} >= b${i} && k${i} * t${i} === ${d} - b${i} && k${i} < m${i}`)
    const from = digits.map((_, i) => `k${i} * s${i}`)
    return withIntegers(
      [
        ...quotients,
        ...found.map(([name, value], i) => [name, `from0(${value}, ${digits[i]} - b${i})`] as const),
      ],
      `if (${isThere.join(' && ')}) { return x[start + ${from.join(' + ')}]; }\nreturn value;`,
    )
  })
}

/** Inputs side by side along `axis`, a few at a time where a device reads few at once. */
export function concat(device: Device, axis: number, inputs: readonly Operand[], out: Aval): Storage {
  const inner = sizeOf(out.shape.slice(axis + 1))
  const outer = sizeOf(out.shape.slice(0, axis))
  return inSteps(device, (keep) => {
    let parts = inputs
      .map(({ storage, shape }) => ({ storage: storage as Storage, width: shape[axis]! * inner }))
      .filter(({ width }) => width > 0)
    while (parts.length > 1 || parts.length === 0) {
      const next: typeof parts = []
      for (let at = 0; at < parts.length; at += device.mostArrays) {
        const group = parts.slice(at, at + device.mostArrays)
        if (group.length === 1) {
          next.push(group[0]!)
          continue
        }
        const width = group.reduce((sum, part) => sum + part.width, 0)
        const storage = join(device, group, width, outer)
        next.push({ storage: group.length === parts.length ? storage : keep(storage), width })
      }
      parts = next
    }
    const { storage } = parts[0]!
    const isOwn = inputs.some((input) => input.storage === storage)
    return isOwn ? copy(device, storage, 0, [1], [sizeOf(out.shape)]) : storage
  })
}

function join(
  device: Device,
  parts: readonly { readonly storage: Storage; readonly width: number }[],
  width: number,
  outer: number,
): Storage {
  const args = [
    ...parts.map(({ storage }, i) => array(`x${i}`, storage)),
    integer('w', width),
    ...integers(
      'w',
      parts.map((part) => part.width),
    ),
    ...integers(
      'e',
      parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part.width, 0)),
    ),
  ]
  return launch(device, 'concat', args, width * outer, () =>
    withIntegers(
      [
        ['o', `idiv(${I}, w)`],
        ['r', `${I} - o * w`],
      ],
      parts
        .map((_, i) => {
          const read = `return x${i}[o * w${i} + (r - e${i})];`
          return i === parts.length - 1 ? read : `if (r < e${i + 1}) { ${read} }`
        })
        .join('\n'),
    ),
  )
}
