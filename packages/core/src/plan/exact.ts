/** JSON that tells all numbers apart: infinities, NaN and -0 among them. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'number' && (!Number.isFinite(inner) || Object.is(inner, -0))
      ? exactNumber(inner)
      : inner,
  )
}

/** Other text for every other number. */
export function exactNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
