/** Trains with a backup in the file that is given: a dot for each step, then `#` and what came out. */
import { adam, backupAndRestore, dense, dropout, sequential, setSeed } from '@adjoint/layers'

setSeed(5)
const m = sequential([dense(8, { inputShape: [2], activation: 'relu' }), dropout(0.5), dense(1)])
m.compile({ optimizer: adam(), loss: 'mse' })
const x = Array.from({ length: 40 }, (_, i) => [i / 40, 1 - i / 40])
const y = x.map(([a]) => a!)
const callbacks = [
  backupAndRestore(process.argv[2]!, { saveFreq: 1 }),
  { onBatchEnd: () => void process.stdout.write('.') },
]
const { history } = await m.fit(x, y, { batchSize: 4, epochs: 6, verbose: 0, callbacks })
process.stdout.write(`#${JSON.stringify([history, m.weights.map((w) => [...w.dataSync()])])}`)
