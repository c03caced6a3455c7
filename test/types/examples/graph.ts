// Shared models, models of a part of a graph, a layer of the user, merges in both forms.
import {
  input,
  dense,
  model,
  multiply,
  subtract,
  concatenate,
  lambda,
  Layer,
  tensor,
  type Tensor,
  type SymbolicTensor,
  type Shape,
  type CallContext,
} from '@adjoint/layers'

const eight = [[1, 2, 3, 4, 5, 6, 7, 8]]

const a = input({ shape: [8], name: 'a' }),
  b = input({ shape: [8], name: 'b' })

const e0 = input({ shape: [8] })
const encoder = model({
  inputs: e0,
  outputs: dense(4, { name: 'code' })(dense(16, { activation: 'relu' })(e0)),
  name: 'encoder',
})
const ea = encoder(a),
  eb = encoder(b)
const diff = subtract([ea, eb])

class Scale extends Layer {
  #k = this.addWeight('k', [1], { initializer: 'ones' })
  override call(x: Tensor, _ctx: CallContext): Tensor {
    return x.mul(this.#k)
  }
}
const scaled = new Scale({ name: 'scale' })(diff)
const same = dense(1, { activation: 'sigmoid', name: 'same' })(multiply([scaled, scaled]))
const dist = lambda((t) => t.square().sum(-1, true), { name: 'dist' })(diff)

const m = model({ inputs: [a, b], outputs: [same, dist] })
m.compile({ optimizer: 'sgd', loss: { same: 'bce' }, metrics: [['accuracy'], null] })
await m.fit({ a: eight, b: eight }, { same: [1], dist: [0] })

const features = model({ inputs: m.inputs, outputs: diff })
const f = await features.predict({ a: eight, b: eight })
const four: 4 = f.shape[1]

const [s, d] = m([tensor(eight), tensor(eight)])
const t1: Tensor = s,
  t2: Tensor = d

const block = <S extends Shape>(x: SymbolicTensor<S, 'float32'>, units: number) =>
  dense(units, { activation: 'relu' })(x)
const wide = concatenate([block(a, 3), block(b, 3)])
void [four, t1, t2, wide]
