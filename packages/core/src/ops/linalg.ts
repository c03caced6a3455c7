import type { Aval } from '../aval.js'
import { promote } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { call, checkNumeric, defineOp, isStaged, type Operand, type Result, type Row } from '../op.js'
import { broadcastShapes, formatShape, type Sizes } from '../shape.js'
import { Tensor } from '../tensor.js'
import { expandDims, reshape, squeeze } from './movement.js'

interface MatmulAttrs {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/** [..., m, k] x [..., k, n] is [..., m, n]; batch axes broadcast. */
const matmulRow: Row<'a' | 'b', MatmulAttrs> = defineOp({
  name: 'matmul',
  args: ['a', 'b'],
  infer([a, b], { transposeA, transposeB }) {
    checkNumeric('matmul', a!)
    checkNumeric('matmul', b!)
    const [m, k] = sides(a!, transposeA)
    const [inner, n] = sides(b!, transposeB)
    if (k !== inner)
      throw new ShapeError(
        `matmul: inner dimensions differ: ${formatShape(a!.shape)}${transposeA ? ' transposed' : ''} x ` +
          `${formatShape(b!.shape)}${transposeB ? ' transposed' : ''}: ${k} and ${inner}`,
        { op: 'matmul', shapes: [a!.shape, b!.shape] },
      )
    const batch = broadcastShapes('matmul (batch axes)', a!.shape.slice(0, -2), b!.shape.slice(0, -2))
    const dtype = promote('matmul', a!.dtype, b!.dtype)
    return { shape: [...batch, m, n], dtype: dtype === 'bool' || dtype === 'uint8' ? 'int32' : dtype }
  },
  kernel: ({ transposeA, transposeB }) => ({ kind: 'matmul', transposeA, transposeB }),
  vjp: {
    a: ({ g, b, attrs: { transposeA, transposeB } }) =>
      transposeA ? product(b, g, transposeB, true) : product(g, b, false, !transposeB),
    b: ({ g, a, attrs: { transposeA, transposeB } }) =>
      transposeB ? product(g, a, true, transposeA) : product(a, g, !transposeA, false),
  },
})

/** Rows and columns of the last two axes, after transposing. */
function sides({ shape }: Aval, transposed: boolean): readonly [number, number] {
  const rows = shape[shape.length - 2]!
  const columns = shape[shape.length - 1]!
  return transposed ? [columns, rows] : [rows, columns]
}

function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return call(matmulRow, [a, b], { transposeA, transposeB })
}

/**
 * Matrix product of the last two axes, batch axes broadcast (NumPy's rules; vectors too).
 * @throws ShapeError for scalars and for inner sides that differ.
 */
export function matmul<A extends Operand, B extends Operand>(
  a: A,
  b: B,
  transposeA: boolean = false,
  transposeB: boolean = false,
): Result<A | B> {
  return multiply(a, b, transposeA, transposeB)
}

function multiply(a: Operand, b: Operand, transposeA: boolean, transposeB: boolean): Tensor {
  const p = ranked(a, b)
  const q = ranked(b, a)
  if (p.length === 1 && q.length === 1)
    return reshape(multiply(expandDims(a, 0) as Tensor, expandDims(b, 1) as Tensor, false, false), [])
  // A vector is a row on the left and a column on the right; the side it had to be given is taken away again.
  if (p.length === 1)
    return squeeze(multiply(expandDims(a, 0) as Tensor, b, false, transposeB), q.length === 1 ? 0 : -2)
  if (q.length === 1) return squeeze(multiply(a, expandDims(b, 1) as Tensor, transposeA, false), -1)
  // A batch against one matrix is one long matrix: one product, and no batch to sum over in the gradient.
  if (p.length > 2 && q.length === 2 && !transposeA && a instanceof Tensor && a.size > 0) {
    const folded = call(matmulRow, [reshape(a, [-1, p[p.length - 1]!]), b], { transposeA, transposeB })
    return reshape(folded, [...p.slice(0, -1), folded.shape[1]!])
  }
  return call(matmulRow, [a, b], { transposeA, transposeB })
}

/** The shape of an operand. @throws ShapeError unless it is a vector or more. */
function ranked(x: Operand, other: Operand): Sizes {
  const shape =
    (x instanceof Tensor || isStaged(x) ? (x as { readonly shape?: Sizes }).shape : undefined) ?? []
  const rank = isStaged(x) ? shape.length + 1 : shape.length
  if (rank === 0) {
    const beside = other instanceof Tensor ? formatShape(other.shape) : 'the other'
    throw new ShapeError(`matmul: both operands need rank >= 1, got a scalar (beside ${beside})`, {
      op: 'matmul',
    })
  }
  return isStaged(x) ? [0, ...shape] : shape
}
