// Sizes, names and graphs that only the running program knows.
import { input, dense, concatenate, model, type Sym, type NumericData, type Model } from '@adjoint/layers'

declare const n: number, names: string[], X: Record<string, number[][]>

const ins = names.map((name) => input({ shape: [n], name }))
const m1 = model({ inputs: ins, outputs: dense(1)(concatenate()(ins.map((t) => dense(8)(t)))) })
m1.compile({ loss: 'mse' })
await m1.fit(X, new Float32Array(4))
await m1.fit(
  names.map((k) => X[k]!),
  new Float32Array(4),
)

const numbered = [0, 1, 2].map((i) => input({ shape: [2], name: `in_${i}` as const }))
const m2 = model({ inputs: numbered, outputs: dense(1)(concatenate()(numbered)) })
m2.compile({ loss: 'mse' })
await m2.fit({ in_0: [[1, 2]], in_1: [[1, 2]], in_2: [[1, 2]] }, [1])

const rec: Record<string, Sym.Num> = Object.fromEntries(names.map((k) => [k, input({ shape: [3], name: k })]))
const m3 = model({ inputs: rec, outputs: dense(1)(concatenate()(Object.values(rec))) })
const feed: Record<string, NumericData> = X
m3.compile({ loss: 'mse' })
await m3.fit(feed, [1, 0, 1, 0])

const q = {
  user: input({ shape: [4], name: 'user' }),
  item: [input({ shape: [2], name: 'price' }), input({ shape: [3], name: 'tags' })] as const,
}
const m4 = model({ inputs: q, outputs: { score: dense(1)(concatenate([q.user, q.item[0], q.item[1]])) } })
m4.compile({ loss: 'mse' })
await m4.fit({ user: [[1, 2, 3, 4]], item: [[[1, 2]], [[1, 2, 3]]] }, { score: [1] })

async function score<I, O>(m: Model<I, O>, x: Parameters<Model<I, O>['predict']>[0]) {
  return m.predict(x)
}
const p = await score(m4, { user: [[1, 2, 3, 4]], item: [[[1, 2]], [[1, 2, 3]]] })
void p.score.shape
