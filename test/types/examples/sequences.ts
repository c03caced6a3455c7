// Layers over sequences, with several inputs and outputs. Their types are tried; the layers are yet to come.
import { input, dense, concatenate, model, dropout, flatten } from '@adjoint/layers'
import { lstm, multiHeadAttention } from '../later.js'

const seq = input({ shape: [20, 6], name: 'seq' })
const [outs, h, c] = lstm(12, { returnSequences: true, returnState: true })(seq)
const att = multiHeadAttention({ numHeads: 2, keyDim: 6 })(seq, outs)
const twenty: 20 = outs.shape[0]
const twelve: 12 = h.shape[0]
const head = dense(1)(concatenate([flatten()(att), dropout(0.5)(h), c]))
const m5 = model({ inputs: seq, outputs: head })
const p = await m5.predict([[[1]]])
void [twenty, twelve, p.shape]
