import { isFloat } from './dtype.js'
import { concat } from './ops/joining.js'
import { reshape } from './ops/movement.js'
import { cast } from './ops/select.js'
import { part } from './ops/slicing.js'
import { isRecording, record, type Recorded, withoutRecording } from './tape.js'
import { type Tensor, zeros } from './tensor.js'

// An entry of the tape has one output. A function with several is recorded as one whose output is all of them, flat
// and one after another, followed by the ops that take it apart: so its rule is asked once, with all cotangents.

/** The results of a recorded function: constants are given, what is returned has its place on the tape. */
export function recordAll(
  row: Recorded,
  inputs: readonly Tensor[],
  outs: readonly Tensor[],
): readonly Tensor[] {
  if (!isRecording()) return outs
  const floats = outs.filter(({ dtype }) => isFloat(dtype))
  if (floats.length < 2) {
    for (const out of floats) record(row, inputs, null, out)
    return outs
  }
  const flat = withoutRecording(() => concat(floats.map((out) => reshape(out, [out.size]))))
  record(row, inputs, null, flat)
  return apart(flat, outs, (out) => out)
}

/** The cotangents of all results, given that of what {@link recordAll} recorded; zeros for those that are no floats. */
export function cotangentsOf(g: Tensor, outs: readonly Tensor[]): readonly Tensor[] {
  const floats = outs.filter(({ dtype }) => isFloat(dtype))
  const none = (out: Tensor): Tensor => zeros(out.shape, out.dtype)
  return floats.length === 1 ? outs.map((out) => (isFloat(out.dtype) ? g : none(out))) : apart(g, outs, none)
}

function apart(flat: Tensor, like: readonly Tensor[], other: (x: Tensor) => Tensor): Tensor[] {
  let begin = 0
  return like.map((x) => {
    if (!isFloat(x.dtype)) return other(x)
    const own = reshape(part(flat, 0, begin, x.size), x.shape)
    begin += x.size
    return own.dtype === x.dtype ? own : cast(own, x.dtype)
  })
}
