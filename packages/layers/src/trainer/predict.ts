import { concat, type DType, type Tensor } from '@adjoint/core'
import { allocate, fromHost, inScope, replaceLeaves, sizeOf } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym } from '../types.js'
import { Air } from './air.js'
import { type Batch, captureInputs, takeBatch } from './batches.js'
import { Bound } from './bound.js'
import { endsOf } from './ends.js'
import { Report } from './report.js'
import { Inference } from './planned.js'
import { passSettings } from './settings.js'
import type { PredictOptions } from './types.js'

/** The outputs for data, in the structure of the model's outputs. No rows give no rows. */
export async function predict(model: Model, x: unknown, options: PredictOptions): Promise<unknown> {
  const { batchSize, verbosity } = passSettings('predict', options)
  const bound = new Bound()
  const data = await captureInputs('predict', endsOf(model, 'input'), x, options)()
  const report = new Report(verbosity, Math.ceil(data.rows / batchSize))
  const air = new Air()
  const inference = bound.run(() => new Inference(model))
  const parts: (readonly Tensor<DType>[])[] = []
  bound.begin()
  try {
    for (let from = 0; from < data.rows; from += batchSize) {
      const to = Math.min(from + batchSize, data.rows)
      parts.push(bound.run(() => outputsFor(inference, takeBatch(data, undefined, from, to))))
      report.step(parts.length, undefined)
      if (air.isDue) await air.breathe()
    }
    report.end(undefined)
    return allJoined(model, bound, parts)
  } finally {
    bound.end()
  }
}

/** The outputs for one batch; what else was made for them is given back. */
export function outputsFor(inference: Inference, { x }: Batch): readonly Tensor<DType>[] {
  return inScope(
    () => inference.run(x) as readonly Tensor[],
    (outputs) => outputs,
  )
}

/** The outputs for all batches, in the structure of the model's. */
export function allJoined(model: Model, bound: Bound, parts: readonly (readonly Tensor<DType>[])[]): unknown {
  const outputs = bound.run(() =>
    model.outputList.map((output, i) =>
      joined(
        output,
        parts.map((part) => part[i]!),
      ),
    ),
  )
  bound.keep(outputs)
  bound.settle()
  return replaceLeaves(model.outputs as never, isSymbolic, outputs)
}

/** Batches as one tensor. */
function joined(output: Sym.Any, parts: readonly Tensor<DType>[]): Tensor<DType> {
  const [first] = parts
  if (first === undefined) return nothing(output)
  if (parts.length === 1) return first
  if (first.dtype !== 'string') return concat(parts as readonly Tensor[], 0) as Tensor<DType>
  const strings = parts.flatMap((part) => part.dataSync() as unknown as string[])
  const rows = parts.reduce((n, part) => n + part.shape[0]!, 0)
  return fromHost(strings, [rows, ...first.shape.slice(1)], 'string')
}

function nothing({ shape, dtype }: Sym.Any): Tensor<DType> {
  const sides = [0, ...shape.map((side) => side ?? 0)]
  return fromHost(dtype === 'string' ? [] : allocate(dtype, sizeOf(sides)), sides, dtype)
}
