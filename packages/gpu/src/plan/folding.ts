/** Sums and products of whole numbers, as they are written for positions. */
const NUMBERS = /^-?\d+(?: [-+*] -?\d+)*$/

/**
 * What a text comes to that has no names in it. gpu.js takes such a text for a number that is not whole, and for drivers a
 * position before the first is an error even where it is not reached.
 */
export function wholeIn(text: string): number | undefined {
  const plain = text.replace(/\((-?\d+)\)/g, '$1')
  if (!NUMBERS.test(plain)) return undefined
  const [first, ...rest] = plain.split(' ')
  let sum = 0
  let product = Number(first)
  for (let i = 0; i < rest.length; i += 2) {
    const next = Number(rest[i + 1])
    if (rest[i] === '*') product *= next
    else {
      sum += product
      product = rest[i] === '+' ? next : -next
    }
  }
  return sum + product
}

/** Whether a test of texts without names holds. */
export function truthIn(test: string): boolean | undefined {
  const [, left, comparison, right] = /^(.+) (>=|<|===?) (.+)$/.exec(test) ?? []
  const [a, b] = [wholeIn(left ?? ''), wholeIn(right ?? '')]
  if (a === undefined || b === undefined) return undefined
  return comparison === '>=' ? a >= b : comparison === '<' ? a < b : a === b
}
