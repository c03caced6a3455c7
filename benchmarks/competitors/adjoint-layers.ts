// Adjoint's public layers and trainer. Apart from adjoint.ts, so that ops on their own do not load it.
import { COLUMNS, type ModelName } from '../models.js'
import type { Inputs, Prepared } from '../protocol.js'
import { columnOf, modelOf } from './layer-models.js'
import { batchesOf, fitting, trainingAsync } from './training.js'

/** A model's steps by trainOnBatch. */
function train(which: ModelName, inputs: Inputs): Prepared {
  const model = modelOf(which, inputs)
  const batched = (name: string) => batchesOf(inputs[name]!).map((batch) => columnOf(name, batch))
  const [x, y] = [COLUMNS[which].x.map(batched), COLUMNS[which].y.map(batched)]
  return trainingAsync(y[0]!.length, async (i) => {
    const { loss } = await model.trainOnBatch(
      x.map((batches) => batches[i]!),
      y.map((batches) => batches[i]!),
    )
    return loss
  })
}

export const b1Train = (inputs: Inputs): Prepared => train('b1', inputs)
export const b2Train = (inputs: Inputs): Prepared => train('b2', inputs)
export const b3Train = (inputs: Inputs): Prepared => train('b3', inputs)

/** fit of B1's model, which is the first seed program's, on 100 rows. */
export function fitSeed1(inputs: Inputs): Prepared {
  const b1 = modelOf('b1', inputs)
  const [x1, x2, y] = ['x1', 'x2', 'y'].map((name) => columnOf(name, inputs[name]!))
  return fitting(async (shuffle) => {
    const { history } = await b1.fit([x1!, x2!], [y!], { epochs: 10, shuffle, verbose: 0 })
    return history['loss']
  })
}

/** The loss of B1's first step, which `import` is compared with. */
export function firstStep(inputs: Inputs): Prepared {
  const b1 = modelOf('b1', inputs)
  const [x1, x2, y] = ['x1', 'x2', 'y'].map((name) => columnOf(name, inputs[name]!))
  return {
    results: async () => [(await b1.trainOnBatch([x1!, x2!], [y!])).loss],
    run() {
      throw new Error('only its result is of use')
    },
  }
}
