import type { Tensor } from '../tensor.js'
import { sigmoid } from './activation.js'
import { add, mul, sub } from './arithmetic.js'
import { matmul } from './linalg.js'
import { reshape } from './movement.js'
import { part, split } from './slicing.js'
import { tanh } from './trigonometric.js'

/**
 * One step of a long short-term memory (Hochreiter & Schmidhuber 1997): x [n, i], state h and c [n, u], kernel
 * [i, 4u], recurrentKernel [u, 4u], bias [4u], gates in the order input, forget, candidate, output. Returns h and c.
 */
export function lstmCell(
  x: Tensor,
  h: Tensor,
  c: Tensor,
  kernel: Tensor,
  recurrentKernel: Tensor,
  bias: Tensor,
): [h: Tensor, c: Tensor] {
  const gates = add(add(matmul(x, kernel), matmul(h, recurrentKernel)), bias)
  const [i, f, candidate, o] = split(gates, 4, -1) as [Tensor, Tensor, Tensor, Tensor]
  const next = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(candidate)))
  return [mul(sigmoid(o), tanh(next)), next]
}

/**
 * One step of a gated recurrent unit (Cho et al. 2014), the reset gate applied after the product as in cuDNN: x [n, i],
 * state h [n, u], kernel [i, 3u], recurrentKernel [u, 3u], bias [2, 3u] (for either product), gates in the order
 * update, reset, candidate. Returns h.
 */
export function gruCell(x: Tensor, h: Tensor, kernel: Tensor, recurrentKernel: Tensor, bias: Tensor): Tensor {
  const row = (at: number): Tensor => reshape(part(bias, 0, at, 1), [-1])
  type Three = [Tensor, Tensor, Tensor]
  const [xz, xr, xh] = split(add(matmul(x, kernel), row(0)), 3, -1) as Three
  const [hz, hr, hh] = split(add(matmul(h, recurrentKernel), row(1)), 3, -1) as Three
  const z = sigmoid(add(xz, hz))
  const candidate = tanh(add(xh, mul(sigmoid(add(xr, hr)), hh)))
  return add(mul(z, h), mul(sub(1, z), candidate))
}
