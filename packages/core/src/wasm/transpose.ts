import type { Code, Int, Local } from './code.js'
import { keep } from './vector-math.js'

export interface TransposePlaces {
  /** [rows, columns] of float32, at least four columns or with three more elements to be read after the last row. */
  readonly from: Int
  /** [columns, rows], with room for four rows at least. */
  readonly to: Int
  readonly rows: number
  readonly columns: Int
  /** Bytes from one row to the next. */
  readonly fromStep: Int
  readonly toStep: Int
}

/**
 * Columns as rows: four by four, for a few rows that lie far apart or not. Where their number is not a multiple of four
 * the last one is written again to the right of it.
 */
export function writeTranspose(c: Code, places: TransposePlaces): void {
  const { rows, columns, fromStep, toStep } = places
  const row = c.local('i32')
  const column = c.local('i32')
  c.each(columns, 4, (at) => {
    c.op(places.from, at, 4, 'i32.mul', 'i32.add').set(row)
    const targets: Int[] = [column]
    c.op(places.to, at, toStep, 'i32.mul', 'i32.add').set(column)
    while (targets.length < 4) targets.push(c.sum(targets.at(-1)!, toStep))
    for (let r = 0; r < rows; r += 4) {
      const lines = Array.from({ length: 4 }, (_, i) => {
        if (r + i > 0 && r + i < rows) c.advance(row, fromStep)
        return keep(c, () => c.get(row).memory('v128.load'))
      })
      transposed(c, lines).forEach((line, i) =>
        c
          .op(targets[i]!)
          .get(line)
          .memory('v128.store', r * 4),
      )
    }
  })
}

/** Four vectors as the columns of a matrix of which they were the rows. */
function transposed(c: Code, rows: readonly Local[]): Local[] {
  const pairs = (x: Local, y: Local, lanes: readonly number[]): Local =>
    keep(c, () =>
      c
        .get(x)
        .get(y)
        .shuffle(lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte))),
    )
  const [x, y, z, w] = rows as [Local, Local, Local, Local]
  const [xyLow, xyHigh] = [pairs(x, y, [0, 4, 1, 5]), pairs(x, y, [2, 6, 3, 7])]
  const [zwLow, zwHigh] = [pairs(z, w, [0, 4, 1, 5]), pairs(z, w, [2, 6, 3, 7])]
  const [front, back] = [
    [0, 1, 4, 5],
    [2, 3, 6, 7],
  ]
  return [
    pairs(xyLow, zwLow, front),
    pairs(xyLow, zwLow, back),
    pairs(xyHigh, zwHigh, front),
    pairs(xyHigh, zwHigh, back),
  ]
}
