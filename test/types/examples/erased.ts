// Every typed model is a Model, so helpers need no type parameters.
import { input, dense, loadModel, model, type Model, type LayerBase } from '@adjoint/layers'
const a = input({ shape: [3], name: 'a' })
const one = model({ inputs: a, outputs: dense(1)(a) })
const rec = model({ inputs: { a }, outputs: { y: dense(1)(a), z: dense(2)(a) } })
const lst = model({ inputs: [a], outputs: [dense(1)(a)] })
const all: Model[] = [one, rec, lst]
const asLayer: LayerBase = rec

const loaded = await loadModel('m.json')
await loaded.fit({ a: [[1]] }, [1])
await loaded.fit([[[1]]], { y: [1] })
const out = await loaded.predict([[1]])
void [all, asLayer, out]
