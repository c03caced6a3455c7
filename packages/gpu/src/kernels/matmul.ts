import { type Aval, sizeOf } from '@adjoint/core/extend'
import type { Device, Storage } from '../device.js'
import { I, isLong, loop, withIntegers } from '../text.js'
import { broadcastStrides, digitsOf, offsetOf, type Walk, walkOf } from '../walk.js'
import { array, integer, integers, launch, launchWide, type Operand } from './launch.js'
import { packed } from './matmul-webgl.js'

interface Flags {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/** A product, batch by batch: how many batches there are, and from where on each operand is read for one. */
export interface Product extends Flags {
  readonly a: Storage
  readonly b: Storage
  /** From where on they lie there, where products are by tiles. */
  readonly aAt: number
  readonly bAt: number
  readonly m: number
  readonly n: number
  readonly k: number
  readonly batches: number
  /** Sides of the batch from the innermost out, and strides along them in matrices. */
  readonly sides: readonly number[]
  readonly aSteps: readonly number[]
  readonly bSteps: readonly number[]
}

/** From here on operands are rearranged, or tiles computed, for speed. */
const LARGE = 2 ** 14

/** Whether a product is computed by tiles, from operands that may lie anywhere on WebGL. */
export function isTiled(
  flags: Flags,
  a: readonly number[],
  b: readonly number[],
  out: readonly number[],
): boolean {
  return isLarge(flags, a, out) && walkOfBatch(a, b, out).sides.length <= 1
}

function isLarge(
  { transposeA }: Pick<Flags, 'transposeA'>,
  a: readonly number[],
  out: readonly number[],
): boolean {
  const [m, n] = out.slice(-2) as [number, number]
  return m * n * a.at(transposeA ? -2 : -1)! >= LARGE && m >= 4 && n >= 4
}

/** How batches of operands are walked. */
function walkOfBatch(a: readonly number[], b: readonly number[], out: readonly number[]): Walk {
  const batch = out.slice(0, -2)
  return walkOf(
    batch,
    [a, b].map((shape) => broadcastStrides({ shape: shape.slice(0, -2) }, batch)),
  )
}

/** Batched product of the last two axes, either stored transposed; batch axes broadcast. */
export function matmul(device: Device, flags: Flags, a: Operand, b: Operand, out: Aval): Storage {
  const rank = out.shape.length
  const { sides, strides } = walkOfBatch(a.shape, b.shape, out.shape)
  const product: Product = {
    ...flags,
    a: a.storage as Storage,
    b: b.storage as Storage,
    aAt: a.at ?? 0,
    bAt: b.at ?? 0,
    m: out.shape[rank - 2]!,
    n: out.shape[rank - 1]!,
    k: a.shape[a.shape.length - (flags.transposeA ? 2 : 1)]!,
    batches: sizeOf(out.shape.slice(0, -2)),
    sides,
    aSteps: strides[0]!,
    bSteps: strides[1]!,
  }
  if (!isLarge(flags, a.shape, out.shape) || sides.length > 1) return plain(device, product)
  return device.packs ? packed(device, product) : tiled(device, product)
}

/** One value for each thread. */
function plain(device: Device, product: Product): Storage {
  return launch(device, ...plainOf(product))
}

function plainOf(product: Product): Parameters<typeof launch> extends [Device, ...infer R] ? R : never {
  const { transposeA, transposeB, a, b, m, n, k, batches, sides, aSteps, bSteps } = product
  const long = isLong(k)
  const args = [
    array('a', a),
    array('b', b),
    integer('m', m),
    integer('n', n),
    integer('k', k),
    ...integers('n', sides),
    ...integers('a', aSteps),
    ...integers('b', bSteps),
  ]
  const body = (): string => {
    const { digits, quotients } = digitsOf(sides.length, 'batch')
    return withIntegers(
      [
        ['line', `idiv(${I}, n)`],
        ['col', `${I} - line * n`],
        ['batch', 'idiv(line, m)'],
        ['row', 'line - batch * m'],
        ...quotients,
        ['ao', `(${offsetOf(digits, 'a')}) * m * k`],
        ['bo', `(${offsetOf(digits, 'b')}) * k * n`],
      ],
      `let sum = 0.0;
      ${loop(
        'i',
        'k',
        long,
        `sum += ${transposeA ? 'a[ao + i * m + row]' : 'a[ao + row * k + i]'} * ${
          transposeB ? 'b[bo + col * k + i]' : 'b[bo + i * n + col]'
        };`,
      )}
      return sum;`,
    )
  }
  return [`matmul ${transposeA} ${transposeB} ${long}`, args, batches * m * n, body]
}

/** WebGPU: each thread computes four rows of four columns, for which gpu.js has no words; WGSL has. */
function tiled(device: Device, product: Product): Storage {
  const { transposeA, transposeB, m, n, batches } = product
  const [key, args, length, body] = plainOf(product)
  const threads = Math.ceil(m / 4) * Math.ceil(n / 4) * batches
  const four = [0, 1, 2, 3]
  const isBatched = product.sides.length === 1
  const at = (x: string, index: string): string => `user_${x}[u32(${index})]`
  const wgsl = (): string => `@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid : vec3<u32>) {
  let tile = i32(gid.x + gid.y * params.dispatchWidth);
  if (tile >= i32(params.outputX)) { return; }
  let m = params.user_m;
  let n = params.user_n;
  let k = params.user_k;
  let across = (n + 3) / 4;
  let down = (m + 3) / 4;
  let col = (tile % across) * 4;
  let row = ((tile / across) % down) * 4;
  let batch = tile / (across * down);
  let ao = ${isBatched ? 'batch * params.user_a0 * m * k' : '0'};
  let bo = ${isBatched ? 'batch * params.user_b0 * k * n' : '0'};
  ${four.map((r) => `let r${r} = min(row + ${r}, m - 1);\n  let c${r} = min(col + ${r}, n - 1);`).join('\n  ')}
  ${four.map((r) => `var s${r} = vec4<f32>();`).join('\n  ')}
  for (var i = 0; i < k; i++) {
    let y = vec4<f32>(${four.map((c) => at('b', transposeB ? `bo + c${c} * k + i` : `bo + i * n + c${c}`)).join(', ')});
    ${four.map((r) => `s${r} += ${at('a', transposeA ? `ao + i * m + r${r}` : `ao + r${r} * k + i`)} * y;`).join('\n    ')}
  }
  let o = batch * m * n;
  ${four
    .map(
      (r) =>
        `if (row + ${r} < m) {\n    ${four
          .map((c) => `if (col + ${c} < n) { result[o + (row + ${r}) * n + col + ${c}] = s${r}[${c}]; }`)
          .join('\n    ')}\n  }`,
    )
    .join('\n  ')}
}`
  return launchWide(device, `${key} tiled`, args, length, 1, body, { threads, wgsl })
}
