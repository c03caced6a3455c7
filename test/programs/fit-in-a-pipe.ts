/** Prints what `fit`, `evaluate` and `predict` print where nothing is said about it. */
import { dense, sequential } from '@adjoint/layers'

const m = sequential([dense(1, { inputShape: [1] })])
m.compile({ loss: 'mse' })
await m.fit([[1], [2]], [1, 2])
await m.evaluate([[1], [2]], [1, 2])
await m.predict([[1], [2]])
