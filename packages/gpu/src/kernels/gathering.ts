import { type Aval, sizeOf } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { I, isLong, loop, withIntegers } from '../text.js'
import { array, inSteps, integer, launch, type Operand } from './launch.js'

/** out[o, k, i] = x[o, indices[k], i], with x as [outer, axis, inner]. */
export function gather(device: Device, axis: number, x: Operand, indices: Operand, out: Aval): Storage {
  const args = [
    array('x', x.storage as Storage),
    array('at', indices.storage as Storage),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', sizeOf(indices.shape)),
    integer('side', x.shape[axis]!),
  ]
  return launch(device, 'gather', args, sizeOf(out.shape), () =>
    withIntegers(
      [
        ['row', `idiv(${I}, inner)`],
        ['o', 'idiv(row, count)'],
      ],
      `const v = at[row - o * count];
      ${withIntegers([['k', 'position(v, side)']], `return x[(o * side + k) * inner + (${I} - row * inner)];`)}`,
    ),
  )
}

/** The same along an axis that float32 cannot count: each index is two numbers. */
export function gatherFar(
  device: Device,
  axis: number,
  x: Operand,
  indices: ArrayLike<number>,
  out: Aval,
): Storage {
  const count = indices.length
  const parts = new Float32Array(2 * count)
  for (let k = 0; k < count; k++) {
    parts[k] = Math.floor(indices[k]! / 65536)
    parts[count + k] = indices[k]! % 65536
  }
  return inSteps(device, (keep) => {
    const args = [
      array('x', x.storage as Storage),
      array('at', keep(device.upload(parts))),
      integer('inner', sizeOf(x.shape.slice(axis + 1))),
      integer('count', count),
      integer('side', x.shape[axis]!),
    ]
    return launch(device, 'gatherFar', args, sizeOf(out.shape), () =>
      withIntegers(
        [
          ['row', `idiv(${I}, inner)`],
          ['o', 'idiv(row, count)'],
        ],
        `const high = at[row - o * count];
        const low = at[row - o * count + count];
        ${withIntegers(
          [['k', 'position(high, 32768) * 65536 + position(low, 65536)']],
          `return x[(o * side + k) * inner + (${I} - row * inner)];`,
        )}`,
      ),
    )
  })
}

/** out = x; out[o, indices[k], i] += updates[o, k, i]: each place looks through all indices. */
export function scatterAdd(
  device: Device,
  axis: number,
  x: Operand,
  indices: Operand,
  updates: Operand,
): Storage {
  const count = sizeOf(indices.shape)
  const args = [
    array('x', x.storage as Storage),
    array('at', indices.storage as Storage),
    array('u', updates.storage as Storage),
    integer('inner', sizeOf(x.shape.slice(axis + 1))),
    integer('count', count),
    integer('side', x.shape[axis]!),
  ]
  const long = isLong(count)
  return launch(device, `scatterAdd ${long}`, args, sizeOf(x.shape), () =>
    withIntegers(
      [
        ['row', `idiv(${I}, inner)`],
        ['o', 'idiv(row, side)'],
        ['v', 'row - o * side'],
        ['j', `${I} - row * inner`],
      ],
      `let sum = x[${I}];
      ${loop(
        'k',
        'count',
        long,
        `const value = at[k];
        if (position(value, side) === v) { sum += u[(o * count + k) * inner + j]; }`,
      )}
      return sum;`,
    ),
  )
}

/** The same for indices that the host knows: `order` holds the updates of each place together, from `starts` on. */
export function scatterAddSorted(
  device: Device,
  axis: number,
  x: Operand,
  indices: ArrayLike<number>,
  updates: Operand,
): Storage {
  const side = x.shape[axis]!
  const count = indices.length
  const starts = new Float32Array(side + 1)
  for (let k = 0; k < count; k++) starts[indices[k]! + 1]!++
  let most = 0
  for (let v = 0; v < side; v++) {
    most = Math.max(most, starts[v + 1]!)
    starts[v + 1]! += starts[v]!
  }
  const next = starts.slice()
  const order = new Float32Array(count)
  for (let k = 0; k < count; k++) order[next[indices[k]!]!++] = k
  return inSteps(device, (keep) => {
    const args = [
      array('x', x.storage as Storage),
      array('u', updates.storage as Storage),
      array('starts', keep(device.upload(starts))),
      array('order', keep(device.upload(order))),
      integer('inner', sizeOf(x.shape.slice(axis + 1))),
      integer('count', count),
      integer('side', side),
    ]
    const long = isLong(most)
    return launch(device, `scatterAddSorted ${long}`, args, sizeOf(x.shape), () =>
      withIntegers(
        [
          ['row', `idiv(${I}, inner)`],
          ['o', 'idiv(row, side)'],
        ],
        `let sum = x[${I}];
        const from = starts[row - o * side];
        const to = starts[row - o * side + 1];
        ${withIntegers(
          [
            ['begin', 'position(from, 2147483647)'],
            ['some', 'position(to, 2147483647) - begin'],
          ],
          '',
        )}
        ${loop(
          'k',
          'some',
          long,
          `const at = order[begin + k];
          sum += u[(o * count + position(at, count)) * inner + (${I} - row * inner)];`,
        )}
        return sum;`,
      ),
    )
  })
}
