import { ShapeError, show, ValueError } from '../errors.js'
import { call, composite, type Like, type Operand, type Result, type Row } from '../op.js'
import { checkAxis, formatShape } from '../shape.js'
import { arange, type Tensor } from '../tensor.js'
import { greaterEqual, lessEqual } from './comparison.js'
import { expandDims, reshape, transpose } from './movement.js'
import { where } from './select.js'
import { stridedSlice } from './slicing.js'

interface DiagonalAttrs {
  readonly offset: number
}

function checkMatrix(op: string, name: string, x: Tensor, offset: unknown): void {
  if (x.rank < 2)
    throw new ShapeError(`${op}: needs a matrix or a batch of them, got ${formatShape(x.shape)}`, {
      op,
      shapes: [x.shape],
    })
  if (!Number.isInteger(offset))
    throw new ValueError(`${op}: ${name} must be a whole number, got ${show(offset)}`, { op })
}

const diagonalRow: Row<'x', DiagonalAttrs> = composite({
  name: 'diagonal',
  args: ['x'],
  compose([x], { offset }) {
    checkMatrix('diagonal', 'offset', x!, offset)
    return diagonalOf(x!, 0, 1, offset)
  },
})

/** The diagonal of two axes as a new last axis. Flattened, its elements lie one row and one column apart. @internal */
export function diagonalOf(x: Tensor, axis1: number, axis2: number, offset: number = 0): Tensor {
  const rows = checkAxis('diagonal', axis1, x.rank)
  const columns = checkAxis('diagonal', axis2, x.rank)
  const others = x.shape.map((_, a) => a).filter((a) => a !== rows && a !== columns)
  const batch = others.map((a) => x.shape[a]!)
  const [m, n] = [x.shape[rows]!, x.shape[columns]!]
  const count = Math.max(0, offset >= 0 ? Math.min(m, n - offset) : Math.min(m + offset, n))
  const begin = offset >= 0 ? offset : -offset * n
  const flat = reshape(x.rank === 2 ? x : transpose(x, [...others, rows, columns]), [...batch, m * n])
  return stridedSlice(flat, {
    begin: [...batch.map(() => null), count === 0 ? 0 : begin],
    end: [...batch.map(() => null), count === 0 ? 0 : begin + (count - 1) * (n + 1) + 1],
    strides: [...batch.map(() => null), n + 1],
  })
}

/** The diagonal of the first two axes, `offset` above the main one, as a new last axis (NumPy's rule). */
export function diagonal<X extends Operand>(x: X, offset: number = 0): Result<X> {
  return call(diagonalRow, [x], { offset }) as Result<X>
}

function triangle(
  op: string,
  isKept: (column: Tensor, row: Tensor) => Tensor,
): Row<'x', { readonly k: number }> {
  return composite({
    name: op,
    args: ['x'],
    compose([x], { k }) {
      checkMatrix(op, 'k', x!, k)
      const [m, n] = [x!.shape[x!.rank - 2]!, x!.shape[x!.rank - 1]!]
      const columns = arange(0, n, 1, 'int32')
      const diagonal = expandDims(arange(k, m + k, 1, 'int32'), 1)
      return where(isKept(columns, diagonal), x!, 0)
    },
  })
}

const trilRow = triangle('tril', (column, diagonal) => lessEqual(column, diagonal))
const triuRow = triangle('triu', (column, diagonal) => greaterEqual(column, diagonal))

/** x with zeros above the k-th diagonal of its last two axes. */
export function tril<X extends Operand>(x: X, k: number = 0): Like<X> {
  return call(trilRow, [x], { k }) as Like<X>
}

/** x with zeros below the k-th diagonal of its last two axes. */
export function triu<X extends Operand>(x: X, k: number = 0): Like<X> {
  return call(triuRow, [x], { k }) as Like<X>
}
