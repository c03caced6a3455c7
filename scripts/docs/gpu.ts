import { rows } from '../../packages/core/src/op.js'
import { type Accuracy, accuracyOf } from '../../packages/gpu/src/accuracy.js'
import type { Documented } from './source.js'

/** A row's bound in words. */
function boundOf({ ulps, of }: Accuracy): string {
  if (ulps === 0) return 'exact'
  return `${ulps} ulp${of === 'largest' ? ' of the largest' : ''}`
}

function isPlain({ ulps, why, beyond }: Accuracy): boolean {
  return ulps === 0 && why === undefined && beyond === undefined
}

/** The point on an op that is not exact on a GPU. */
export function onGpu(name: string): string[] {
  const accuracy = accuracyOf(name)
  return !rows.has(name) || isPlain(accuracy) ? [] : [`- On a GPU: ${boundOf(accuracy)}`]
}

/** The page on accuracy on a GPU, but for what stands above every page. */
export function gpuPage(ops: readonly Documented[]): string {
  const families = new Map(ops.map(({ name, family }) => [name, family]))
  const linked = (name: string): string => {
    const family = families.get(name)
    return family === undefined ? name : `[${name}](${family}.md#${name.toLowerCase()})`
  }
  const names = [...rows.keys()]
  const lines = names.flatMap((name) => {
    const accuracy = accuracyOf(name)
    if (isPlain(accuracy)) return []
    const notes = [accuracy.why, accuracy.beyond?.where].filter((note) => note !== undefined)
    return [`| ${linked(name)} | ${boundOf(accuracy)} | ${notes.join('; ')} |`]
  })
  const exact = names.filter((name) => isPlain(accuracyOf(name)))
  return [
    '# On a GPU',
    'How near the rows of the table of ops come to the right result, rounded to float32, on `webgpu`, `webgl2` and ' +
      '`headlessgl`. All three run the same formulas, so a row has one bound. Rows without a page of their own are ' +
      'parts of derivatives. Ops that are made of others, such as losses, are as accurate as these.',
    'A bound is in units of the last place (ulp) of the result; `of the largest` means of the largest number among ' +
      'operands and results. Numbers below 2^-126 may be taken for 0.',
    ['| row | bound | why, and where there is less |', '| --- | --- | --- |', ...lines].join('\n'),
    `Exact, that is, what the CPU gives: ${exact.map(linked).join(', ')}.`,
    'The tests hold every row to its bound (`packages/gpu/src/accuracy.ts`) on samples, at its edges (0, ±1, large, ' +
      'tiny, infinities, NaN), and functions all over their domains.',
  ].join('\n\n')
}
