import { concat, type DType, type Tensor } from '@adjoint/core'
import { allocate, fromHost, replaceLeaves, sizeOf } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym } from '../types.js'
import { Air } from './air.js'
import { captureInputs, takeBatch } from './batches.js'
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
  for (let from = 0; from < data.rows; from += batchSize) {
    const to = Math.min(from + batchSize, data.rows)
    parts.push(bound.run(() => inference.run(takeBatch(data, undefined, from, to).x)))
    report.step(parts.length, undefined)
    if (air.isDue) await air.breathe()
  }
  report.end(undefined)
  const outputs = bound.run(() =>
    model.outputList.map((output, i) =>
      joined(
        output,
        parts.map((part) => part[i]!),
      ),
    ),
  )
  bound.settle()
  return replaceLeaves(model.outputs as never, isSymbolic, outputs)
}

/** Batches as one tensor. */
export function joined(output: Sym.Any, parts: readonly Tensor<DType>[]): Tensor<DType> {
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
