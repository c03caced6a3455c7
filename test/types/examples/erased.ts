// Every typed model is a Model, so helpers need no type parameters.
import { input, dense, loadModel, model, type Model, type LayerBase } from '@adjoint/layers'
const a = input({ shape: [3], name: 'a' })
const one = model({ inputs: a, outputs: dense(1)(a) })
const rec = model({ inputs: { a }, outputs: { y: dense(1)(a), z: dense(2)(a) } })
const lst = model({ inputs: [a], outputs: [dense(1)(a)] })
const all: Model[] = [one, rec, lst]
const asLayer: LayerBase = rec

await one.compile({ loss: 'mse' }).save('model/')

const loaded = await loadModel('model/')
await loaded.fit({ a: [[1, 2, 3]] }, [1])
await loaded.fit([[1, 2, 3]], { dense: [1] })
const out = await loaded.predict([[1, 2, 3]])
void [all, asLayer, out]
