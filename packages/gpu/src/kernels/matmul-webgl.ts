import type { Device, Source, Storage } from '../device.js'
import { I, isLong, loop, withIntegers } from '../text.js'
import { array, inSteps, integer, launch, launchWide, vectors } from './launch.js'
import type { Product } from './matmul.js'

const EACH = [0, 1, 2, 3] as const

/** An operand by fours: as it is stored, or rearranged as [m, k / 4] or [k, n / 4]. */
interface Side {
  readonly storage: Storage
  readonly isTransposed: boolean
  /** The first of its texels. */
  readonly at: number
}

const asStored = (storage: Storage): Side => ({ storage, isTransposed: false, at: 0 })

/**
 * A product on WebGL, by reads of four values. Operands are read as they are stored where their sides are multiples of
 * four, and are rearranged, with zeros up to such multiples, where they are not.
 */
export function packed(device: Device, product: Product): Storage {
  const { transposeA, transposeB, m, n, k, batches } = product
  return inSteps(device, (keep) => {
    const isWhole = k % 4 === 0
    const a: Side =
      isWhole && (!transposeA || m % 4 === 0)
        ? { storage: product.a, isTransposed: transposeA, at: product.aAt / 4 }
        : asStored(keep(rowsOf(device, product)))
    const b: Side =
      isWhole && (transposeB || n % 4 === 0)
        ? { storage: product.b, isTransposed: transposeB, at: product.bAt / 4 }
        : asStored(keep(columnsOf(device, product)))
    const products = tiled(device, product, a, b) ?? untiled(device, product, a, b)
    if (n % 4 === 0) return products
    keep(products)
    return launch(
      device,
      'unpack columns',
      [vectors('x', products), ...sizesOf(product)],
      batches * m * n,
      () =>
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
    )
  })
}

/** Sides, those in texels, and whether operands differ from batch to batch. */
function sizesOf({ m, n, k, aSteps, bSteps }: Product) {
  return [
    integer('m', m),
    integer('n', n),
    integer('k', k),
    integer('depth', Math.ceil(k / 4)),
    integer('width', Math.ceil(n / 4)),
    integer('down', Math.ceil(m / 4)),
    integer('s', aSteps[0] ?? 0),
    integer('t', bSteps[0] ?? 0),
  ]
}

function sidesOf(a: Side, b: Side) {
  return [vectors('a', a.storage), vectors('b', b.storage), integer('afrom', a.at), integer('bfrom', b.at)]
}

/** [m, k / 4] of a. */
function rowsOf(device: Device, product: Product): Storage {
  const { transposeA, a, aAt, m, k, batches, aSteps } = product
  const matrices = (aSteps[0] ?? 0) === 0 ? 1 : batches
  const args = [array('x', a), integer('from', aAt), ...sizesOf(product)]
  return launchWide(device, `pack rows ${transposeA}`, args, matrices * m * Math.ceil(k / 4) * 4, 4, () =>
    withIntegers(
      [
        ['line', `idiv(${I}, depth)`],
        ['i', `(${I} - line * depth) * 4`],
        ['batch', 'idiv(line, m)'],
        ['row', 'line - batch * m'],
      ],
      vectorOf(
        transposeA ? 'x[from + (batch * k + i + #) * m + row]' : 'x[from + line * k + i + #]',
        'i + # < k',
      ),
    ),
  )
}

/** [k, n / 4] of b, k up to a multiple of four. */
function columnsOf(device: Device, product: Product): Storage {
  const { transposeB, b, bAt, n, k, batches, bSteps } = product
  const matrices = (bSteps[0] ?? 0) === 0 ? 1 : batches
  const length = matrices * Math.ceil(k / 4) * 4 * Math.ceil(n / 4) * 4
  const args = [array('x', b), integer('from', bAt), ...sizesOf(product)]
  return launchWide(device, `pack columns ${transposeB}`, args, length, 4, () =>
    withIntegers(
      [
        ['line', `idiv(${I}, width)`],
        ['col', `(${I} - line * width) * 4`],
        ['batch', 'idiv(line, depth * 4)'],
        ['i', 'line - batch * depth * 4'],
      ],
      vectorOf(
        transposeB ? 'x[from + (batch * n + col + #) * k + i]' : 'x[from + (batch * k + i) * n + col + #]',
        'i < k && col + # < n',
      ),
    ),
  )
}

/** Four values, # the position of one among them, or 0 where there is none. */
function vectorOf(value: string, isThere: string): string {
  const lines = EACH.map((j) => {
    const of = (text: string): string => text.replaceAll('#', String(j))
    return `let v${j} = 0.0;\nif (${of(isThere)}) { v${j} = ${of(value)}; }`
  })
  return `${lines.join('\n')}\nreturn [v0, v1, v2, v3];`
}

/** [m, n / 4], four rows of four columns by one run: it writes the rows to four textures, which are then put together. */
function tiled(device: Device, product: Product, a: Side, b: Side): Storage | undefined {
  if (device.runFour === undefined) return undefined
  const { m, n, batches } = product
  const sizes = sizesOf(product)
  const args = [...sidesOf(a, b), ...sizes]
  const program = device.program(`matmul tiled ${a.isTransposed} ${b.isTransposed}`, (): Source => ({
    args: args.map(([name, type]) => [name, type]),
    body: untiledBody(false),
    width: 4,
    glsl: tile(a.isTransposed, b.isTransposed),
  }))
  const width = Math.ceil(n / 4)
  const length = batches * Math.ceil(m / 4) * width * 4
  const four = device.runFour(
    program,
    args.map(([, , value]) => value),
    length,
  )
  if (four === undefined) return undefined
  return inSteps(device, (keep) => {
    const rows = four.map((storage, r) => vectors(`r${r}`, keep(storage)))
    return launchWide(device, 'rows of tiles', [...rows, ...sizes], batches * m * width * 4, 4, () =>
      withIntegers(
        [
          ['line', `idiv(${I}, width)`],
          ['batch', 'idiv(line, m)'],
          ['row', 'line - batch * m'],
          ['tile', 'idiv(row, 4)'],
          ['which', 'row - tile * 4'],
          ['at', `(batch * down + tile) * width + ${I} - line * width`],
        ],
        `let v = r3[at];
        ${[0, 1, 2].map((r) => `if (which === ${r}) { v = r${r}[at]; }`).join('\n')}
        return [v[0], v[1], v[2], v[3]];`,
      ),
    )
  })
}

/**
 * A tile in GLSL. x holds four terms of four rows of a, y the same of four columns of b. Texels are sampled at their
 * centers, which is faster on software than to fetch them.
 */
function tile(transposeA: boolean, transposeB: boolean): string {
  const lines = (write: (i: number) => string): string => EACH.map(write).join('\n  ')
  const read = (to: string, from: string, i: number): string =>
    `vec4 ${to}${i} = texture(user_${from}, vec2(${from}x[${i}], ${from}y[${i}]));`
  const x = (row: number, term: number): string => (transposeA ? `x${term}[${row}]` : `x${row}[${term}]`)
  const y = (term: number): string =>
    transposeB ? `vec4(${EACH.map((c) => `y${c}[${term}]`).join(', ')})` : `y${term}`
  const places = (of: string): string => `vec4 ${of}x = (vec4(${of} & user_${of}Size.x) + 0.5) * ${of}Unit.x;
  vec4 ${of}y = (vec4(${of} >> user_${of}Size.y) + 0.5) * ${of}Unit.y;`
  return `int line = index / user_width;
  int col = index - line * user_width;
  int batch = line / user_down;
  int row = (line - batch * user_down) * 4;
  ivec4 each = ivec4(0, 1, 2, 3);
  ${
    transposeA
      ? `int across = user_m / 4;
  ivec4 a = user_afrom + (batch * user_s * user_k + each) * across + row / 4;
  int aStep = 4 * across;`
      : `ivec4 a = user_afrom + (batch * user_s * user_m + min(row + each, user_m - 1)) * user_depth;
  int aStep = 1;`
  }
  ${
    transposeB
      ? `ivec4 b = user_bfrom + (batch * user_t * user_n + min(col * 4 + each, user_n - 1)) * user_depth;
  int bStep = 1;`
      : `ivec4 b = user_bfrom + (batch * user_t * user_depth * 4 + each) * user_width + col;
  int bStep = 4 * user_width;`
  }
  vec2 aUnit = 1.0 / vec2(textureSize(user_a, 0));
  vec2 bUnit = 1.0 / vec2(textureSize(user_b, 0));
  ${lines((i) => `vec4 s${i} = vec4(0);`)}
  for (int i = 0; i < user_depth; i++) {
  ${places('a')}
  ${places('b')}
  ${transposeA ? '' : lines((i) => read('x', 'a', i))}
  ${transposeB ? lines((i) => read('y', 'b', i)) : ''}
  ${lines(
    (j) => `{ ${transposeA ? read('x', 'a', j) : ''} ${transposeB ? '' : read('y', 'b', j)}
  vec4 z = ${y(j)};
  ${lines((r) => `s${r} += ${x(r, j)} * z;`)} }`,
  )}
  a += aStep;
  b += bStep;
  }
  ${lines((i) => `four${i} = s${i};`)}`
}

/** The same where a run computes four columns of one row. */
function untiled(device: Device, product: Product, a: Side, b: Side): Storage {
  const { m, n, k, batches } = product
  return inSteps(device, (keep) => {
    const rows = a.isTransposed ? asStored(keep(rowsOf(device, product))) : a
    const columns = b.isTransposed ? asStored(keep(columnsOf(device, product))) : b
    const long = isLong(Math.ceil(k / 4))
    const args = [...sidesOf(rows, columns), ...sizesOf(product)]
    const length = batches * m * Math.ceil(n / 4) * 4
    return launchWide(device, `matmul packed ${long}`, args, length, 4, () => untiledBody(long))
  })
}

function untiledBody(long: boolean): string {
  return withIntegers(
    [
      ['line', `idiv(${I}, width)`],
      ['col', `${I} - line * width`],
      ['batch', 'idiv(line, m)'],
      ['ao', 'afrom + (batch * s * m + line - batch * m) * depth'],
      ['bo', 'bfrom + batch * t * depth * 4 * width + col'],
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
      ${EACH.map((c) => `c${c} += x[0] * y0[${c}] + x[1] * y1[${c}] + x[2] * y2[${c}] + x[3] * y3[${c}];`).join('\n')}`,
    )}
    return [c0, c1, c2, c3];`,
  )
}
