import type { Program, ValueId } from '@adjoint/core/extend'
import type { Device, Program as DeviceProgram } from '../device.js'
import { type Layout, lengthIn } from './layout.js'
import type { Dispatch } from './schedule.js'
import { type Place, spanOf, type Written, written, writtenApart } from './text.js'
import { shaderOf } from './wgsl.js'

/** What is written by one program: all that a dispatch stores, or one of its values, or some that share much. */
export interface Run {
  readonly text: Written
  readonly program: DeviceProgram
  readonly at: number
  readonly length: number
  /** Of its WGSL, if it has any. */
  readonly threads?: number
  /** Its values one by one, where they are several. */
  readonly alone?: readonly Run[]
}

/** How a dispatch is run, which is none that is run as op by op. */
export function runsOf(
  device: Device,
  program: Program,
  layout: Layout,
  dispatch: Dispatch,
  at: number,
  isLoaded: (id: ValueId) => boolean,
): readonly Run[] {
  const placeOf = (id: ValueId): Place => layout.places.get(id)!
  // Without WGSL each value would find out by branches which one it is of: they are written one by one.
  if (device.packs) {
    const runOf = (ids: readonly ValueId[]): Run | undefined => {
      const text = writtenApart(program, ids, isLoaded, placeOf)
      if (text === undefined) return undefined
      const made = device.program(`plan|${text.also!.join()}|${text.body}`, () => text)
      const [first] = ids
      return {
        text,
        program: made,
        at: placeOf(first!).at,
        length: spanOf(program.values[first!]!.shape),
      }
    }
    return layout.bundles[at]!.map((ids) => {
      const alone = ids.map((id) => runOf([id])!)
      return ids.length === 1 ? alone[0]! : { ...(runOf(ids) ?? alone[0]!), alone }
    })
  }
  const length = layout.lengths[at]!
  const text = written(program, dispatch, isLoaded, placeOf)
  const { wgsl, readsVectors, threads } = shaderOf(
    program,
    dispatch.outs,
    isLoaded,
    placeOf,
    device.info.isSoftware,
  )
  // One body may do for several sizes, which are written into the WGSL.
  const lengths = [...text.arrays.map((array) => lengthIn(layout, program, array)), length]
  const made = device.program(`plan|${text.arrays.join()}|${lengths.join()}|${text.body}|${wgsl}`, () => ({
    ...text,
    wgsl,
    readsVectors,
    lengths,
  }))
  return [{ text, program: made, at: 0, length, threads }]
}
