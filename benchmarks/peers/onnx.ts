// onnxruntime-node on one thread: matrix products, as a model of one Gemm node. Only the part of its types that is used
// is written down here, so that this file compiles without the peers being installed.
import { createRequire } from 'node:module'
import { type Inputs, type Program, serve } from '../protocol.js'

interface Session {
  run(
    feeds: Readonly<Record<string, object>>,
  ): Promise<Readonly<Record<string, { readonly data: Float32Array }>>>
}
interface OnnxRuntime {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> }
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => object
}

// The fields of onnx.proto that a model of one node needs; each is its number, its wire type, its content.

const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)])
const whole = (field: number, value: number): number[] => [...unsigned(field << 3), ...unsigned(value)]
const bytes = (field: number, content: readonly number[]): number[] => [
  ...unsigned((field << 3) | 2),
  ...unsigned(content.length),
  ...content,
]
const text = (field: number, content: string): number[] => bytes(field, [...Buffer.from(content)])

/** A model whose output c is the product of its inputs a and b, matrices of float32 of any sides. */
function gemm(transposeA: boolean, transposeB: boolean): Uint8Array {
  const FLOAT = 1
  const INT = 2
  const attribute = (name: string, value: boolean): number[] =>
    bytes(5, [...text(1, name), ...whole(3, Number(value)), ...whole(20, INT)])
  const node = [
    ...text(1, 'a'),
    ...text(1, 'b'),
    ...text(2, 'c'),
    ...text(4, 'Gemm'),
    ...attribute('transA', transposeA),
    ...attribute('transB', transposeB),
  ]
  const matrix = (name: string): number[] => {
    const shape = [`${name}0`, `${name}1`].flatMap((side) => bytes(1, text(2, side)))
    return [...text(1, name), ...bytes(2, bytes(1, [...whole(1, FLOAT), ...bytes(2, shape)]))]
  }
  const graph = [
    ...bytes(1, node),
    ...text(2, 'product'),
    ...bytes(11, matrix('a')),
    ...bytes(11, matrix('b')),
    ...bytes(12, matrix('c')),
  ]
  const opset = whole(2, 13)
  return new Uint8Array([...whole(1, 8), ...bytes(7, graph), ...bytes(8, opset)])
}

await serve(() => {
  const require = createRequire(import.meta.url)
  // createRequire gives untyped modules.
  const onnx = require('onnxruntime-node') as OnnxRuntime
  const { version } = require('onnxruntime-node/package.json') as { version: string }
  const product =
    (transposeA: boolean, transposeB: boolean): Program =>
    async ({ a, b }: Inputs) => {
      const options = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' }
      const session = await onnx.InferenceSession.create(gemm(transposeA, transposeB), options)
      const feeds = {
        a: new onnx.Tensor('float32', a!.values, a!.shape),
        b: new onnx.Tensor('float32', b!.values, b!.shape),
      }
      return {
        results: async () => (await session.run(feeds))['c']!.data,
        async run(times) {
          for (let i = 0; i < times; i++) await session.run(feeds)
        },
      }
    }
  return {
    versions: { 'onnxruntime-node': `${version} (1 thread)` },
    programs: {
      matmul: product(false, false),
      'matmul-tn': product(true, false),
      'matmul-nt': product(false, true),
      'matmul-tt': product(true, true),
    },
  }
})
