/**
 * `x` with `digits` decimals, as Python's `f'{x:.4f}'` writes it: exact halves go to the even neighbour, where
 * `toFixed` goes away from zero (0.15625 is 0.1562, 3.125 is 3.12). Not-finite values are nan, inf and -inf.
 */
export function fixed(x: number, digits: number): string {
  if (!Number.isFinite(x)) return notFinite(x)
  if (Math.abs(x) >= 1e21) return BigInt(x).toString() + (digits > 0 ? '.' + '0'.repeat(digits) : '')
  const text = x.toFixed(digits)
  // x lies halfway between two decimals just when x = n / 2^(digits + 1) with n odd; scaling by 2^k is exact.
  const isHalfway = Math.abs((x * 2 ** (digits + 1)) % 2) === 1
  const isOdd = Number(text.at(-1)) % 2 === 1
  return isHalfway && isOdd ? (x * (1 - Number.EPSILON)).toFixed(digits) : text
}

/** `x` as Python's `f'{x:.4e}'` writes it: at least two digits of exponent. */
export function exponential(x: number, digits: number): string {
  if (!Number.isFinite(x)) return notFinite(x)
  return x.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2')
}

const notFinite = (x: number): string => (Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '-inf')
