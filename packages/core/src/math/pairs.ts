// Numbers of twice float64's digits: the unevaluated sum of two float64 numbers, the second at most half a unit in the
// last place of the first. By sums, differences, products, quotients and roots alone, which every engine rounds the same.
// The algorithms are those of Dekker (1971) and Knuth (The Art of Computer Programming, volume 2, 4.2.2).

/** high + low */
export type Pair = readonly [high: number, low: number]

/** a + b exactly. */
export function sumOf(a: number, b: number): Pair {
  const high = a + b
  const other = high - a
  return [high, a - (high - other) + (b - other)]
}

/** The same where |a| >= |b|, or a is 0. */
function quickSum(a: number, b: number): Pair {
  const high = a + b
  return [high, b - (high - a)]
}

/** 2^27 + 1 */
const SPLITTER = 134_217_729

/** a b exactly, for sizes between 2^-480 and 2^490 or so. */
export function productOf(a: number, b: number): Pair {
  const high = a * b
  const a1 = SPLITTER * a - (SPLITTER * a - a)
  const b1 = SPLITTER * b - (SPLITTER * b - b)
  const [a2, b2] = [a - a1, b - b1]
  return [high, a1 * b1 - high + a1 * b2 + a2 * b1 + a2 * b2]
}

export function add(x: Pair, y: Pair): Pair {
  const [high, low] = sumOf(x[0], y[0])
  const [more, least] = sumOf(x[1], y[1])
  const [first, rest] = quickSum(high, low + more)
  return quickSum(first, rest + least)
}

export function negate(x: Pair): Pair {
  return [-x[0], -x[1]]
}

export function subtract(x: Pair, y: Pair): Pair {
  return add(x, negate(y))
}

export function multiply(x: Pair, y: Pair): Pair {
  const [high, low] = productOf(x[0], y[0])
  return quickSum(high, low + (x[0] * y[1] + x[1] * y[0]))
}

/** x times a power of two. */
export function scale(x: Pair, power: number): Pair {
  return [x[0] * power, x[1] * power]
}

export function divide(x: Pair, y: Pair): Pair {
  const first = x[0] / y[0]
  const rest = subtract(x, multiply(y, [first, 0]))
  const second = rest[0] / y[0]
  const third = subtract(rest, multiply(y, [second, 0]))[0] / y[0]
  return add(quickSum(first, second), [third, 0])
}

/** The root of a number above 0, and of 0. */
export function squareRoot(x: Pair): Pair {
  const root = Math.sqrt(x[0])
  if (root === 0) return [0, 0]
  const rest = subtract(x, productOf(root, root))
  return quickSum(root, rest[0] / (2 * root))
}
