// The process that first-step.ts starts: imports a library, makes the first step of B1's model, says what it took.
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'

const LIBRARIES = { adjoint, 'tfjs-wasm': tfjsWasm }

const given = JSON.parse(await text(process.stdin))
for (const { values } of Object.values(given)) values.typed = Float32Array.from(values)
const valuesOf = (name) => given[name].values.typed
const ids = ['1', '2', '3']

const start = performance.now()
const before = process.cpuUsage()
const loss = await LIBRARIES[process.argv[2]]()
const wall = performance.now() - start
const { user, system } = process.cpuUsage(before)
console.log(JSON.stringify({ loss, wall, cpu: (user + system) / 1000 }))

async function adjoint() {
  const { adam, concatenate, dense, input, model } = await import('@adjoint/layers')
  const { tensor } = await import('@adjoint/core')
  const make = (name) => tensor(valuesOf(name), { shape: given[name].shape })
  const x1 = input({ shape: [10], name: 'x1' })
  const x2 = input({ shape: [5], name: 'x2' })
  const h1 = dense(64, { activation: 'relu' })(x1)
  const h2 = dense(32, { activation: 'relu' })(x2)
  const outputs = dense(1)(concatenate([h1, h2]))
  const b1 = model({ inputs: [x1, x2], outputs }).compile({ optimizer: adam(), loss: 'mse' })
  b1.setWeights(ids.flatMap((id) => [make(`w${id}`), make(`b${id}`)]))
  return (await b1.trainOnBatch([make('x1'), make('x2')], make('y'))).loss
}

async function tfjsWasm() {
  const require = createRequire(new URL('../peers/package.json', import.meta.url))
  const [library, backend] = ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm']
  const tf = require(library)
  require(backend)
  await tf.setBackend('wasm')
  const make = (name) => tf.tensor(valuesOf(name), given[name].shape)
  const [x1, x2] = [tf.input({ shape: [10] }), tf.input({ shape: [5] })]
  const dense = (units, activation) => tf.layers.dense({ units, ...(activation && { activation }) })
  const h = tf.layers.concatenate().apply([dense(64, 'relu').apply(x1), dense(32, 'relu').apply(x2)])
  const b1 = tf.model({ inputs: [x1, x2], outputs: dense(1).apply(h) })
  b1.compile({ optimizer: tf.train.adam(0.001, 0.9, 0.999, 1e-7), loss: 'meanSquaredError' })
  b1.layers
    .filter((layer) => layer.getWeights().length > 0)
    .forEach((layer, i) => layer.setWeights([make(`w${ids[i]}`), make(`b${ids[i]}`)]))
  return b1.trainOnBatch([make('x1'), make('x2')], make('y'))
}
