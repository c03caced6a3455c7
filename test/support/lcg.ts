/** The data that the Keras recordings were made with. */

/** Numbers in [0, 1): s = (1664525 s + 1013904223) mod 2^32, each divided by 2^32. */
export function lcg(seed: number, count: number): number[] {
  let s = seed
  return Array.from({ length: count }, () => {
    s = (Math.imul(1664525, s) + 1013904223) >>> 0
    return s / 2 ** 32
  })
}

/** A matrix of such numbers, row by row, in [low, high) as float32. */
export function lcgMatrix(
  rows: number,
  columns: number,
  seed: number,
  f: (value: number) => number = (value) => value,
): number[][] {
  const values = lcg(seed, rows * columns)
  return Array.from({ length: rows }, (_, i) =>
    values.slice(i * columns, (i + 1) * columns).map((value) => Math.fround(f(value))),
  )
}

/** Initial weights as recorded: zeros for vectors, for weight i of others numbers from seed 1000 + i in [-0.3, 0.3). */
export function lcgWeights(shapes: readonly (readonly number[])[]): Float32Array[] {
  return shapes.map((shape, i) => {
    const size = shape.reduce((n, side) => n * side, 1)
    return shape.length === 1
      ? new Float32Array(size)
      : Float32Array.from(lcg(1000 + i, size), (value) => -0.3 + 0.6 * value)
  })
}
