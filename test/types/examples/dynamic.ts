// Sizes, names and graphs that only the running program knows.
import {
  input,
  dense,
  concatenate,
  model,
  dropout,
  flatten,
  type Sym,
  type NumericData,
  type Model,
} from '@adjoint/layers'
import { lstm, multiHeadAttention } from '../later.js'

declare const n: number, names: string[], X: Record<string, number[][]>

const ins = names.map((name) => input({ shape: [n], name }))
const m1 = model({ inputs: ins, outputs: dense(1)(concatenate()(ins.map((t) => dense(8)(t)))) })
await m1.fit(X, new Float32Array(4))
await m1.fit(
  names.map((k) => X[k]!),
  new Float32Array(4),
)

const numbered = [0, 1, 2].map((i) => input({ shape: [2], name: `in_${i}` as const }))
const m2 = model({ inputs: numbered, outputs: dense(1)(concatenate()(numbered)) })
await m2.fit({ in_0: [[1, 2]], in_1: [[1, 2]], in_2: [[1, 2]] }, [1])

const rec: Record<string, Sym.Num> = Object.fromEntries(names.map((k) => [k, input({ shape: [3], name: k })]))
const m3 = model({ inputs: rec, outputs: dense(1)(concatenate()(Object.values(rec))) })
const feed: Record<string, NumericData> = X
await m3.fit(feed, [1, 0])

const q = {
  user: input({ shape: [4], name: 'user' }),
  item: [input({ shape: [2], name: 'price' }), input({ shape: [3], name: 'tags' })] as const,
}
const m4 = model({ inputs: q, outputs: { score: dense(1)(concatenate([q.user, q.item[0], q.item[1]])) } })
await m4.fit({ user: [[1]], item: [[[1]], [[1]]] }, { score: [1] })

const seq = input({ shape: [20, 6], name: 'seq' })
const [outs, h, c] = lstm(12, { returnSequences: true, returnState: true })(seq)
const att = multiHeadAttention({ numHeads: 2, keyDim: 6 })(seq, outs)
const twenty: 20 = outs.shape[0]
const twelve: 12 = h.shape[0]
const head = dense(1)(concatenate([flatten()(att), dropout(0.5)(h), c]))
const m5 = model({ inputs: seq, outputs: head })

async function score<I, O>(m: Model<I, O>, x: Parameters<Model<I, O>['predict']>[0]) {
  return m.predict(x)
}
const p = await score(m5, [[[1]]])
void [twenty, twelve, p.shape]
