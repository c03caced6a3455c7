import { type Aval, sizeOf } from '@adjoint/core/extend'
import type { Device, Storage } from './device.js'
import { array, integer, integers, launch, launchWide, type Operand, Steps, vectors } from './kernels.js'
import { I, isLong, loop, withIntegers } from './text.js'
import { broadcastStrides, digitsOf, offsetOf, walkOf } from './walk.js'

interface Flags {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/** A product, batch by batch: how many batches there are, and from where on each operand is read for one. */
interface Product extends Flags {
  readonly a: Storage
  readonly b: Storage
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

/** Batched product of the last two axes, either stored transposed; batch axes broadcast. */
export function matmul(device: Device, flags: Flags, a: Operand, b: Operand, out: Aval): Storage {
  const rank = out.shape.length
  const batch = out.shape.slice(0, -2)
  const steps = (x: Operand): number[] => broadcastStrides({ shape: x.shape.slice(0, -2) }, batch)
  const { sides, strides } = walkOf(batch, [steps(a), steps(b)])
  const product: Product = {
    ...flags,
    a: a.storage as Storage,
    b: b.storage as Storage,
    m: out.shape[rank - 2]!,
    n: out.shape[rank - 1]!,
    k: a.shape[a.shape.length - (flags.transposeA ? 2 : 1)]!,
    batches: sizeOf(batch),
    sides,
    aSteps: strides[0]!,
    bSteps: strides[1]!,
  }
  const { m, n, k } = product
  if (m * n * k < LARGE || m < 4 || n < 4 || sides.length > 1) return plain(device, product)
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

/**
 * WebGL: textures of four values a texel. a becomes [m, k / 4], b becomes [k, n / 4], with zeros where sides are no
 * multiples of four; a thread then reads sixteen products' worth by five texels.
 */
function packed(device: Device, product: Product): Storage {
  const { transposeA, transposeB, a, b, m, n, k, batches, aSteps, bSteps } = product
  const steps = new Steps(device)
  const depth = Math.ceil(k / 4)
  const width = Math.ceil(n / 4)
  const [aStep = 0, bStep = 0] = [aSteps[0], bSteps[0]]
  const matrices = (step: number): number => (step === 0 ? 1 : batches)
  const sizes = [
    integer('m', m),
    integer('n', n),
    integer('k', k),
    integer('depth', depth),
    integer('width', width),
  ]
  const vectorsOf = (values: string, isThere: string): string => {
    const each = [0, 1, 2, 3]
    return `${each
      .map(
        (j) =>
          `let v${j} = 0.0;\nif (${isThere.replaceAll('#', String(j))}) { v${j} = ${values.replaceAll('#', String(j))}; }`,
      )
      .join('\n')}\nreturn [v0, v1, v2, v3];`
  }
  const rows = steps.keep(
    launchWide(
      device,
      `pack rows ${transposeA}`,
      [array('x', a), ...sizes],
      matrices(aStep) * m * depth * 4,
      4,
      () =>
        withIntegers(
          [
            ['line', `idiv(${I}, depth)`],
            ['i', `(${I} - line * depth) * 4`],
            ['batch', 'idiv(line, m)'],
            ['row', 'line - batch * m'],
          ],
          vectorsOf(transposeA ? 'x[(batch * k + i + #) * m + row]' : 'x[line * k + i + #]', 'i + # < k'),
        ),
    ),
  )
  const columns = steps.keep(
    launchWide(
      device,
      `pack columns ${transposeB}`,
      [array('x', b), ...sizes],
      matrices(bStep) * depth * 4 * width * 4,
      4,
      () =>
        withIntegers(
          [
            ['line', `idiv(${I}, width)`],
            ['col', `(${I} - line * width) * 4`],
            ['batch', 'idiv(line, depth * 4)'],
            ['i', 'line - batch * depth * 4'],
          ],
          vectorsOf(
            transposeB ? 'x[(batch * n + col + #) * k + i]' : 'x[(batch * k + i) * n + col + #]',
            'i < k && col + # < n',
          ),
        ),
    ),
  )
  const long = isLong(depth)
  const products = steps.keep(
    launchWide(
      device,
      `matmul packed ${long}`,
      [vectors('a', rows), vectors('b', columns), ...sizes, integer('s', aStep), integer('t', bStep)],
      batches * m * width * 4,
      4,
      () =>
        withIntegers(
          [
            ['line', `idiv(${I}, width)`],
            ['col', `${I} - line * width`],
            ['batch', 'idiv(line, m)'],
            ['ao', '(batch * s * m + line - batch * m) * depth'],
            ['bo', 'batch * t * depth * 4 * width + col'],
          ],
          `let c0 = 0.0;
          let c1 = 0.0;
          let c2 = 0.0;
          let c3 = 0.0;
          ${loop(
            'i',
            'depth',
            long,
            `const x = a[ao + i];
            const y0 = b[bo + i * 4 * width];
            const y1 = b[bo + (i * 4 + 1) * width];
            const y2 = b[bo + (i * 4 + 2) * width];
            const y3 = b[bo + (i * 4 + 3) * width];
            ${[0, 1, 2, 3].map((c) => `c${c} += x[0] * y0[${c}] + x[1] * y1[${c}] + x[2] * y2[${c}] + x[3] * y3[${c}];`).join('\n')}`,
          )}
          return [c0, c1, c2, c3];`,
        ),
    ),
  )
  return steps.end(
    launch(device, 'unpack columns', [vectors('x', products), ...sizes], batches * m * n, () =>
      withIntegers(
        [
          ['line', `idiv(${I}, n)`],
          ['col', `${I} - line * n`],
          ['texel', 'idiv(col, 4)'],
          ['j', 'col - texel * 4'],
        ],
        `const v = x[line * width + texel];
        if (j === 0) { return v[0]; }
        if (j === 1) { return v[1]; }
        if (j === 2) { return v[2]; }
        return v[3];`,
      ),
    ),
  )
}
