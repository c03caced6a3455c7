// Trains the model beside the page, on one device, and tells the page how it goes.
import { setBackend } from '@adjoint/core'
import { createGpuBackend } from '@adjoint/gpu'
import { lambdaCallback, plotModel } from '@adjoint/layers'
import type { Device, FromWorker, Settings, ToWorker } from './messages.js'
import { penguins } from './penguins.js'

const say = (message: FromWorker): void => {
  self.postMessage(message)
}

/** What computes, in words. */
async function open(device: Device): Promise<{ readonly backend: string; readonly isSoftware: boolean }> {
  if (device === 'cpu') return { backend: 'WebAssembly', isSoftware: false }
  const gpu = await createGpuBackend({ allowSoftware: true })
  setBackend(gpu)
  const { mode, adapter, isSoftware } = gpu.info
  return { backend: `${mode}, ${adapter}`, isSoftware }
}

/** A worker trains once. */
const training = new AbortController()

async function train(device: Device, { epochs, batchSize, units }: Settings): Promise<void> {
  const opened = await open(device)
  const { model, x, y, score } = await penguins(units)
  say({ kind: 'ready', ...opened, graph: plotModel(model, { rankDir: 'LR', showShapes: true }) })
  const start = performance.now()
  const history = await model.fit(x, y, {
    epochs,
    batchSize,
    validationSplit: 0.2,
    verbose: 0,
    signal: training.signal,
    callbacks: lambdaCallback({
      onEpochEnd(epoch, logs) {
        say({ kind: 'epoch', epoch, logs: { ...logs }, seconds: (performance.now() - start) / 1000 })
      },
    }),
  })
  const seconds = (performance.now() - start) / 1000
  const steps = history.epoch.length * Number(history.params['steps'] ?? 0)
  say({ kind: 'done', steps, seconds, scores: await score() })
}

self.addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === 'stop') training.abort()
  else
    train(data.device, data.settings).catch((error: unknown) => {
      say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    })
})
