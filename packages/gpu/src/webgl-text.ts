import type { DeviceFunction } from './functions.js'

/**
 * A fragment shader of gpu.js for textures whose width is a power of two: positions are found by shifts in place of
 * divisions, texels are fetched in place of sampled, and what is read at the position of the value that is computed is
 * read once for a texel's four. Sides of textures come in as what a position is masked with and shifted by. Undefined
 * where the text is not as expected.
 * @param aligned arrays whose textures have the sides of the output's.
 * @param also numbers of the kernel that are written to outputs of their own.
 */
export function withShifts(
  text: string,
  functions: readonly DeviceFunction[],
  aligned: readonly string[],
  also: readonly string[] = [],
): string | undefined {
  const parts = partsOf(text, functions)
  if (parts === undefined) return undefined
  const { kernel } = parts
  if (also.length > 0 && kernel.split('kernelResult =').length !== 2) return undefined
  const outs = ['kernelResult', ...also.map((_, i) => `also${i}`)]
  const before =
    also.length === 0
      ? parts.before
      : `${parts.before.replace('out vec4 data0;', outsOf(outs.length, 'data'))}${also.map((_, i) => `float also${i};\n`).join('')}`
  const isAligned = (name: string): boolean => aligned.includes(name.slice('user_'.length))
  if (/\bvec4 kernelResult\b/.test(before)) {
    const body = kernel.replace(READ_FOUR_HERE, (read, name: string) =>
      isAligned(name) ? `texture(${name}, vTexCoord)` : read,
    )
    return `${before}${body}void main() {
  ${PLACE}
  threadId = ivec3(index, 0, 0);
  kernel();
  data0 = kernelResult;
}`
  }
  const here = new Map<string, string>()
  const told = also.map((name, i) => `also${i} = user_${name};\n`).join('')
  let body = kernel
    .replace('kernelResult =', `${told}kernelResult =`)
    .replace(READ_HERE, (_, name: string, by?: string) => {
      const key = `here_${name}${by ?? ''}`
      here.set(
        key,
        by === undefined && isAligned(name)
          ? `texture(${name}, vTexCoord)`
          : `getVec4FromSampler2D(${name}, ${name}Size, ivec3(0), 0, 0, index${by === undefined ? '' : ` + ${by}`})`,
      )
      return `${key}.x`
    })
  const once = new Map<string, string>()
  body = body.replace(READ_ONE, (read, name: string, at: string) => {
    if (!before.includes(`uniform highp int ${at};`)) return read
    once.set(`once_${name}${at}`, read)
    return `once_${name}${at}`
  })
  const hasPosition = /\bthreadId\b/.test(body)
  // Four times, and what was read here moves on: to choose among a vector's values by a number is slow.
  const run = [
    ...(hasPosition ? ['threadId = ivec3(index * 4 + lane, 0, 0);'] : []),
    'kernel();',
    ...outs.map((name, i) => `four${i} = vec4(four${i}.yzw, ${name});`),
    ...[...here.keys()].map((name) => `${name} = ${name}.yzwx;`),
  ].join(' ')
  // Drivers take their time over long texts, and more over four of them.
  const length = before.length - before.indexOf('float kernelResult;') + kernel.length
  const isShort = length < (/\b(?:for|if) \(/.test(kernel) ? SHORT_TEXT : SHORT_LINES)
  return `${before}${[...here.keys()].map((name) => `vec4 ${name};`).join('\n')}
${[...once.keys()].map((name) => `float ${name};`).join('\n')}
${body}void main() {
  ${PLACE}
  ${[...here, ...once].map(([name, read]) => `${name} = ${read};`).join('\n  ')}
  vec4 ${outs.map((_, i) => `four${i}`).join(', ')};
  ${isShort ? [0, 1, 2, 3].map((lane) => run.replace('lane', String(lane))).join('\n  ') : `for (int lane = 0; lane < 4; lane++) { ${run} }`}
  ${outs.map((_, i) => `data${i} = four${i};`).join('\n  ')}
}`
}

/** Outputs by place, each with its number behind a name. */
function outsOf(count: number, name: string): string {
  return Array.from({ length: count }, (_, i) => `layout(location = ${i}) out vec4 ${name}${i};`).join('\n')
}

const SHORT_TEXT = 700
/** The same where nothing branches. */
const SHORT_LINES = 2000

/** The same for statements in GLSL in place of the kernel, which set texels of four outputs. */
export function withFour(
  text: string,
  functions: readonly DeviceFunction[],
  statements: string,
): string | undefined {
  const parts = partsOf(text, functions)
  if (parts === undefined) return undefined
  return `${parts.before.replace('out vec4 data0;', outsOf(4, 'four'))}void main() {
  ${PLACE}
  ${statements}
}`
}

/** The text before the kernel, with positions by shifts, and the kernel. */
function partsOf(
  text: string,
  functions: readonly DeviceFunction[],
): { readonly before: string; readonly kernel: string } | undefined {
  const begin = text.lastIndexOf('void kernel()')
  const end = text.lastIndexOf('void main(')
  const isKnown = text.startsWith('#version 300 es') && GET.test(text) && GET_FOUR.test(text)
  if (!isKnown || begin < 0 || end < begin) return undefined
  let before = text
    .slice(0, begin)
    .replace('uniform ivec2 uTexSize;', '$&\nuniform int first;')
    .replace(GET, GET_BY_SHIFTS)
    .replace(GET_FOUR, GET_FOUR_BY_SHIFTS)
  for (const { name, glsl } of functions)
    if (glsl !== undefined)
      before = before.replace(new RegExp(String.raw`^\w+ ${name}\([^)]*\) \{[^]*?\n\}\n`, 'm'), `${glsl}\n`)
  return { before, kernel: text.slice(begin, end) }
}

/** The first texel is that of the part of the output which is written. */
const PLACE = 'index = int(gl_FragCoord.x) + (int(gl_FragCoord.y) << uTexSize.y) - first;'
const GET_BY_SHIFTS = `float $1 {
  vec4 four = texelFetch(tex, ivec2((x >> 2) & texSize.x, x >> (texSize.y + 2)), 0);
  vec2 two = mix(four.xz, four.yw, bvec2((x & 1) != 0));
  return mix(two.x, two.y, (x & 2) != 0);
}`
const GET_FOUR_BY_SHIFTS = 'vec4 $1 { return texelFetch(tex, ivec2(x & texSize.x, x >> texSize.y), 0); }'

const SIGNATURE = String.raw`\(sampler2D tex, ivec2 texSize, ivec3 texDim, int z, int y, int x\)`
const GET = new RegExp(String.raw`float (getMemoryOptimized32${SIGNATURE}) \{[^}]*\}`)
const GET_FOUR = new RegExp(String.raw`vec4 (getVec4FromSampler2D${SIGNATURE}) \{[^}]*\}`)
const HERE = String.raw`\((user_\w+), \1Size, \1Dim, 0, 0, threadId\.x\)`
/** There, or so many texels further on. */
const READ_HERE = new RegExp(
  String.raw`getMemoryOptimized32\((user_\w+), \1Size, \1Dim, 0, 0, (?:threadId\.x|\(threadId\.x\+\(4\*(user_\w+)\)\))\)`,
  'g',
)
/** Where an argument says, which is the same for all. */
const READ_ONE = /getMemoryOptimized32\((user_\w+), \1Size, \1Dim, 0, 0, (user_\w+)\)/g
const READ_FOUR_HERE = new RegExp(`getVec4FromSampler2D${HERE}`, 'g')
