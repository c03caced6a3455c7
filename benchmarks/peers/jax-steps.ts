// Training steps in jax-js: the losses of the models, on logits, and Adam from ops. Its arrays are moved into every call;
// `.ref` keeps one for later use. Only the part of its types that is used is written down here, so that this file
// compiles without the peers being installed.
import { BETA1, BETA2, EPSILON } from '../competitors/adam.js'
import { LAYERS, type ModelName } from '../models.js'
import type { Input, Inputs } from '../protocol.js'

export interface JaxArray {
  readonly ref: JaxArray
  add(other: JaxArray | number): JaxArray
  sub(other: JaxArray | number): JaxArray
  mul(other: JaxArray | number): JaxArray
  div(other: JaxArray | number): JaxArray
  reshape(shape: readonly number[]): JaxArray
  slice(...index: readonly (readonly number[])[]): JaxArray
  data(): Promise<Float32Array>
  blockUntilReady(): Promise<JaxArray>
  gpuBuffer(): Promise<unknown>
  dispose(): void
}
type Params = Record<string, JaxArray>
export type Unary = (x: JaxArray) => JaxArray
type Loss = (params: Params, ...batch: JaxArray[]) => JaxArray
export interface Jax {
  readonly init: (device: string) => Promise<readonly string[]>
  readonly defaultDevice: (device?: string) => string
  readonly valueAndGrad: (
    f: Loss,
  ) => (params: Params, ...batch: JaxArray[]) => [value: JaxArray, grads: Params]
  readonly jit: <F>(f: F) => F
  readonly numpy: Record<'exp' | 'tanh' | 'square' | 'sqrt' | 'mean' | 'zerosLike' | 'transpose', Unary> & {
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray
    array(values: Float32Array | Int32Array, options: { shape: readonly number[] }): JaxArray
    matmul(a: JaxArray, b: JaxArray): JaxArray
    concatenate(xs: readonly JaxArray[], axis: number): JaxArray
    sum(x: JaxArray, axis?: number): JaxArray
  }
  readonly nn: Record<'relu' | 'softplus' | 'sigmoid', Unary> &
    Record<'softmax' | 'logSoftmax', (x: JaxArray, axis?: number) => JaxArray>
  readonly tree: { ref(params: Params): Params; dispose(state: unknown): void }
}

/** Weights, and Adam's averages of their gradients and of the squares. */
export type State = [params: Params, means: Params, squares: Params]
/** The batch's parts come in the order of COLUMNS, inputs first. */
export type Step = (state: State, rate: JaxArray, ...batch: JaxArray[]) => [loss: JaxArray, next: State]

export function jaxSteps({ numpy: np, nn, tree, valueAndGrad }: Jax) {
  const dense = (x: JaxArray, w: JaxArray, b: JaxArray): JaxArray => np.matmul(x, w).add(b)
  const meanSquare = (a: JaxArray, b: JaxArray): JaxArray => np.mean(np.square(a.sub(b)))
  const binary = (logit: JaxArray, y: JaxArray): JaxArray => np.mean(nn.softplus(logit.ref).sub(logit.mul(y)))
  const categorical = (logits: JaxArray, y: JaxArray): JaxArray =>
    np.mean(np.sum(nn.logSoftmax(logits, -1).mul(y), -1)).mul(-1)

  const losses: Readonly<Record<ModelName, Loss>> = {
    b1(p, x1, x2, y) {
      const h1 = nn.relu(dense(x1, p.w1!, p.b1!))
      const h2 = nn.relu(dense(x2, p.w2!, p.b2!))
      return meanSquare(dense(np.concatenate([h1, h2], 1), p.w3!, p.b3!), y)
    },
    b2(p, x, id, y) {
      const h = np.concatenate([nn.relu(dense(x, p.w1!, p.b1!)), np.take(p.table!, id, 0)], 1)
      return binary(dense(h, p.w2!, p.b2!), y)
    },
    b3(p, x, yA, yB, yC) {
      const h2 = nn.relu(dense(nn.relu(dense(x, p.w1!, p.b1!)), p.w2!, p.b2!))
      const h3 = nn.relu(dense(h2.ref, p.w3!, p.b3!))
      const lossA = meanSquare(dense(h2.ref, p.wA!, p.bA!), yA)
      const lossB = binary(dense(h3.ref, p.wB!, p.bB!), yB)
      const lossC = categorical(dense(np.concatenate([h2, h3], 1), p.wC!, p.bC!), yC)
      return lossA.add(lossB).add(lossC)
    },
    b4(p, x, y) {
      const h = nn.relu(dense(nn.relu(dense(x, p.w1!, p.b1!)), p.w2!, p.b2!))
      return categorical(dense(h, p.w3!, p.b3!), y)
    },
  }

  const make = ({ values, shape }: Input): JaxArray => np.array(values, { shape })

  return {
    losses,

    /** A part of the data: ids are whole numbers, without the axis of one that `take` would keep. */
    columnOf: (name: string, { values, shape }: Input): JaxArray =>
      name === 'id' ? np.array(Int32Array.from(values), { shape: [shape[0]!] }) : make({ values, shape }),

    /** The weights that are given, and averages of zero. */
    begin: (which: ModelName, inputs: Inputs): State => {
      const names = LAYERS[which].flat()
      const params = Object.fromEntries(names.map((name) => [name, make(inputs[name]!)]))
      const zeros = (): Params =>
        Object.fromEntries(names.map((name) => [name, np.zerosLike(params[name]!.ref)]))
      return [params, zeros(), zeros()]
    },

    /** Forward, backward and Adam: the loss, then weights and averages. */
    stepOf: (loss: Loss): Step => {
      const lossAndGrad = valueAndGrad(loss)
      return ([params, means, squares], rate, ...batch) => {
        const [value, grads] = lossAndGrad(tree.ref(params), ...batch)
        const next: State = [{}, {}, {}]
        for (const name of Object.keys(params)) {
          const g = grads[name]!
          const m = means[name]!.mul(BETA1).add(g.ref.mul(1 - BETA1))
          const s = squares[name]!.mul(BETA2).add(np.square(g).mul(1 - BETA2))
          const change = m.ref.mul(rate.ref).div(np.sqrt(s.ref).add(EPSILON))
          next[0][name] = params[name]!.sub(change)
          next[1][name] = m
          next[2][name] = s
        }
        rate.dispose()
        return [value, next]
      }
    },
  }
}
