// Two ways to train by hand: a step for fit, and a loop of its own.
import {
  input,
  dense,
  model,
  adam,
  valueAndGrads,
  gradientTape,
  losses,
  tensor,
  type Tensor,
} from '@adjoint/layers'

const x0 = input({ shape: [4], name: 'x' })
const h = dense(16, { activation: 'tanh' })(x0)
const m = model({ inputs: { x: x0 }, outputs: { a: dense(1)(h), b: dense(1, { activation: 'sigmoid' })(h) } })

m.compile({
  optimizer: adam({ learningRate: 1e-3, globalClipNorm: 1 }),
  trainStep({ x, y }, self) {
    const { value, grads } = valueAndGrads(() => {
      const pred = self(x, { training: true })
      return losses
        .meanSquaredError(y.a, pred.a)
        .mean()
        .add(losses.binaryCrossentropy(y.b, pred.b).mean().mul(0.5))
    }, self.trainableVariables)
    self.optimizer.apply(grads, self.trainableVariables)
    return { loss: value }
  },
})
declare const X: number[][], A: number[][], B: number[][]
await m.fit({ x: X }, { a: A, b: B }, { epochs: 3 })

const opt = adam()
for (let epoch = 0; epoch < 10; epoch++) {
  let loss: Tensor
  {
    using tape = gradientTape()
    const pred = m({ x: tensor(X) }, { training: true })
    loss = losses.meanSquaredError(tensor(A), pred.a).mean()
    opt.apply(tape.gradient(loss, m.trainableVariables), m.trainableVariables)
  }
  console.log(epoch, loss.itemSync())
}
