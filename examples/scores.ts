// What the programs on real data measure, and the table in which they print it.

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}

export function variance(values: readonly number[]): number {
  const center = mean(values)
  return mean(values.map((v) => (v - center) ** 2))
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}

/** The share of the variance that is explained: 1 - Σ(y - ŷ)² / Σ(y - ȳ)². Guessing the mean scores 0. */
export function rSquared(y: readonly number[], guess: readonly number[]): number {
  return 1 - mean(y.map((v, i) => (v - guess[i]!) ** 2)) / variance(y)
}

/** How often both say the same. */
export function accuracy<T>(y: readonly T[], guess: readonly T[]): number {
  return y.filter((v, i) => v === guess[i]).length / y.length
}

export function percent(x: number): string {
  return `${(100 * x).toFixed(1)} %`
}

/** Rows of cells under a head, in columns: the first to the left, the others to the right. */
export function table(head: readonly string[], ...rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('   ')
  return all.map((row) => `  ${line(row)}`).join('\n')
}
