import { random, type Tensor } from '@adjoint/layers'

/**
 * Synthetic data for the programs with several outputs: `inputDim` numbers per row; A is a smooth function of them,
 * B whether another one is positive, C (one of five, as one-hot rows) which of the first five numbers is largest.
 */
export function synthetic(
  rows: number,
  inputDim: number,
): { X: Tensor; A: Float32Array; B: Float32Array; C: number[][] } {
  const X = random.normal([rows, inputDim])
  const values = X.dataSync()
  const A = new Float32Array(rows)
  const B = new Float32Array(rows)
  const C: number[][] = []
  for (let i = 0; i < rows; i++) {
    const x = values.subarray(i * inputDim, (i + 1) * inputDim)
    A[i] = Math.sin(x[0]!) + 0.5 * x[1]! * x[2]!
    B[i] = x[3]! + x[4]! > 0 ? 1 : 0
    const first = [...x.subarray(0, 5)]
    const largest = first.indexOf(Math.max(...first))
    C.push(first.map((_, k) => (k === largest ? 1 : 0)))
  }
  return { X, A, B, C }
}
