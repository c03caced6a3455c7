import type { Source } from './device.js'
import type { DeviceFunction } from './functions.js'

/** A shader of gpu.js with this package's own texts, of functions and of the kernel, where there are any. */
export function ownTextOf(whole: string, source: Source, functions: readonly DeviceFunction[]): string {
  let text = whole
  for (const { name, wgsl } of functions)
    if (wgsl !== undefined)
      text = text.replace(
        new RegExp(String.raw`^fn fn_${name}\([^)]*\) -> \w+ \{[^]*?\n\}\n`, 'm'),
        `${wgsl}\n`,
      )
  if (source.wgsl === undefined) return text
  return declared(text.slice(0, text.lastIndexOf('@compute')), source) + source.wgsl
}

/** A shader's beginning in which arrays are what its WGSL takes them for, without gpu.js' functions that read one value. */
function declared(
  begun: string,
  { args, readsVectors = false, writesVectors = false, lengths }: Source,
): string {
  const arrays = args.flatMap(([name, type]) => (type === 'array' || type === 'vectors' ? [name] : []))
  const isByFours = (name: string): boolean => {
    if (name === 'result') return writesVectors
    return typeof readsVectors === 'boolean' ? readsVectors : readsVectors.includes(name)
  }
  return begun
    .replace(/(var<storage, \w+> (?:user_)?(\w+) : )array<f32>/g, (_, begin: string, name: string) => {
      const [type, width] = isByFours(name) ? ['vec4<f32>', 4] : ['f32', 1]
      const length = name === 'result' ? lengths?.at(-1) : lengths?.[arrays.indexOf(name)]
      return `${begin}array<${type}${length === undefined ? '' : `, ${length / width}`}>`
    })
    .replace(/fn get_user_\w+\([^)]*\) -> f32 \{[^}]*\}/g, '')
}
