import type { Program } from './program.js'

/** The numbers of a change of variables, where they are known without running it. */
export interface Foreseen {
  /** In steps of one kind the same ops change the same variables, by other numbers. */
  readonly kind: string
  readonly numbers: readonly number[]
}

/** Other numbers than {@link Foreseen} tells, one for each: all different, and exact in float32. */
export function marksFor({ numbers }: Foreseen): readonly number[] {
  return numbers.map((_, i) => FIRST_MARK + 2 * i)
}
const FIRST_MARK = 1_048_577

/** Which of the foreseen numbers each slot of a program takes; a slot that takes none is the same in every run. */
export class Placing {
  readonly #from: Int32Array
  readonly #slots: Float64Array

  private constructor(from: Int32Array, slots: Float64Array) {
    this.#from = from
    this.#slots = slots
  }

  /**
   * Compares the slots of a change by the foreseen numbers with those of one by marks. Undefined where a slot holds
   * something computed from a number: then only the change itself knows what will be there.
   */
  static of(foreseen: Foreseen, program: Program, marked: Program): Placing | undefined {
    const { numbers } = foreseen
    const marks = marksFor(foreseen)
    if (numbers.some((number) => marks.includes(number))) return undefined
    const [slots, others] = [slotsOf(program), slotsOf(marked)]
    const from = new Int32Array(slots.length)
    for (let i = 0; i < slots.length; i++) {
      from[i] = Object.is(slots[i], others[i]) ? SAME : marks.indexOf(others[i]!)
      if (from[i] === SAME) continue
      const number = numbers[from[i]!]
      // A tensor of one number holds it in float32.
      if (number === undefined || !(slots[i] === number || slots[i] === Math.fround(number))) return undefined
    }
    return new Placing(from, slots)
  }

  /** The numbers of all slots; the same array every time. */
  slotsFor(numbers: readonly number[]): Float64Array {
    const from = this.#from
    for (let i = 0; i < from.length; i++) if (from[i] !== SAME) this.#slots[i] = numbers[from[i]!]!
    return this.#slots
  }
}

const SAME = -2

/** What the slots of a program held when it was recorded. */
function slotsOf({ values, slotCount }: Program): Float64Array {
  const slots = new Float64Array(slotCount)
  for (const { source } of values) {
    if (source.kind === 'constant' && source.slot !== undefined) slots[source.slot] = Number(source.values[0])
    if (source.kind !== 'kernel' || source.kernel.kind !== 'map') continue
    const { params } = source.kernel
    source.slots?.forEach((slot, i) => (slots[slot] = params[i]!))
  }
  return slots
}
