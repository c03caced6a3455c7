import { type Program, sizeOf, warn } from '@adjoint/core/extend'

/** So many operations take a CPU less than half a millisecond, in which a GPU has hardly been told what to do. */
const SMALL = 2 ** 24

let hasSaid = false

/** Says once that a training step is so small that the CPU would be faster. What the user has chosen stays chosen. */
export function tellSmall({ values, slotCount }: Program): void {
  if (hasSaid || slotCount === 0) return
  const operations = values.reduce((sum, { source, shape }) => {
    if (source.kind !== 'kernel') return sum
    const [first] = source.inputs.map((id) => values[id]!.shape)
    const { kernel } = source
    if (kernel.kind === 'matmul') return sum + sizeOf(shape) * first!.at(kernel.transposeA ? -2 : -1)!
    return sum + Math.max(sizeOf(shape), first === undefined ? 0 : sizeOf(first))
  }, 0)
  if (operations >= SMALL) return
  hasSaid = true
  warn(
    `a training step of this model is about ${Number(operations.toPrecision(1)).toLocaleString('en')} operations, which the CPU makes sooner than a ` +
      'GPU is told to: it trains faster without setBackend, or with larger batches',
  )
}
