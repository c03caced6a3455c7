import type { ScalarFunction } from '@adjoint/core/extend'
import { sourceOf, storedAs } from '../formula.js'
import { WGSL } from '../plan/language.js'
import { asWgsl } from '../text.js'

/**
 * An elementwise kernel in WGSL that reads and writes four neighbours at once.
 * @param modes of the inputs: 'i' for one that is read at the output's position, 'n' for a number.
 */
export function mapByFours({ body }: ScalarFunction, modes: readonly string[], dtype: string): string {
  const stored = storedAs(sourceOf(body, WGSL), dtype)
  const component = (i: number): string =>
    stored.replace(/\b([ap])(\d+)\b/g, (_, of: string, at: string) =>
      of === 'p' || modes[Number(at)] === 'n' ? `params.user_${of}${at}` : `v${at}[${i}]`,
    )
  return asWgsl(`@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid : vec3<u32>) {
  let t = gid.x + gid.y * params.dispatchWidth;
  if (t >= params.outputX) { return; }
  ${modes.flatMap((mode, i) => (mode === 'i' ? [`let v${i} = user_x${i}[t];`] : [])).join('\n  ')}
  result[t] = vec4<f32>(${[0, 1, 2, 3].map(component).join(', ')});
}`)
}
