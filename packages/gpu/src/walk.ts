import { type Stored, stridesOf } from '@adjoint/core/extend'

type Sizes = readonly number[]

/** How operands are walked along an output: sides from the innermost out, and each operand's stride along each. */
export interface Walk {
  readonly sides: readonly number[]
  /** strides[operand][side] */
  readonly strides: readonly (readonly number[])[]
}

/**
 * Strides of operands along the axes of `shape`, axes of one element left out and neighbours merged where one stride
 * continues the other for every operand.
 */
export function walkOf(shape: Sizes, operands: readonly (readonly number[])[]): Walk {
  const sides: number[] = []
  const strides: number[][] = operands.map(() => [])
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const side = shape[axis]!
    if (side === 1) continue
    const last = sides.length - 1
    if (last >= 0 && operands.every((own, i) => own[axis] === strides[i]![last]! * sides[last]!)) {
      sides[last]! *= side
      continue
    }
    sides.push(side)
    operands.forEach((own, i) => strides[i]!.push(own[axis]!))
  }
  return { sides, strides }
}

/** The strides of `x` along the axes of a shape that it broadcasts to. */
export function broadcastStrides({ shape: own }: Pick<Stored, 'shape'>, shape: Sizes): number[] {
  const strides = stridesOf(own)
  const missing = shape.length - own.length
  return shape.map((_, axis) => (axis < missing || own[axis - missing] === 1 ? 0 : strides[axis - missing]!))
}

/**
 * The index of `position` along each side as formulas, and the whole numbers they need: n0, n1, … are the sides,
 * q1, q2, … what is left of the position after each.
 */
export function digitsOf(
  rank: number,
  position: string,
): { digits: string[]; quotients: (readonly [string, string])[] } {
  const digits: string[] = []
  const quotients: (readonly [string, string])[] = []
  let rest = position
  for (let side = 0; side < rank; side++) {
    if (side === rank - 1) digits.push(rest)
    else {
      quotients.push([`q${side + 1}`, `idiv(${rest}, n${side})`])
      digits.push(`(${rest} - q${side + 1} * n${side})`)
      rest = `q${side + 1}`
    }
  }
  return { digits, quotients }
}

/** Where operand `name` is read: the sum of digits times its strides, which are arguments name0, name1, …. */
export function offsetOf(digits: readonly string[], name: string): string {
  return digits.length === 0 ? '0' : digits.map((digit, side) => `${digit} * ${name}${side}`).join(' + ')
}
