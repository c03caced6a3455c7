import {
  AdjointError,
  adam,
  dense,
  dropout,
  FormatError,
  input,
  LimitError,
  loadModel,
  model,
  type Model,
  normalization,
  sequential,
  setSeed,
  stringLookup,
  embedding,
  flatten,
} from '@adjoint/layers'
import { randomState } from '@adjoint/core/extend'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'

interface Entry {
  dtype: unknown
  shape: unknown
  data_offsets: unknown
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A file of a header as it is written here, and data. */
function file(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
  length?: bigint,
): Uint8Array {
  const text = typeof header === 'string' ? encode(header) : header
  const out = new Uint8Array(8 + text.length + data.length)
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true)
  out.set(text, 8)
  out.set(data, 8 + text.length)
  return out
}

/** A file taken apart. */
function parts(bytes: Uint8Array): {
  header: Record<string, Entry & Record<string, string>>
  data: Uint8Array
} {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as never
  return { header, data: bytes.slice(8 + length) }
}

setSeed(3)
const small = sequential([dense(2, { inputShape: [2], name: 'd' })], { name: 'small' }) as unknown as Model
small.compile({ optimizer: adam(), loss: 'mse' })
await small.trainOnBatch([[1, 2]], [[1, 2]])
const good: Uint8Array = await small.toBytes()

const word = input({ shape: [1], dtype: 'string', name: 'word' })
const price = input({ shape: [3], name: 'price' })
const looked = embedding(4, 2)(stringLookup({ vocabulary: ['a', 'b'] })(word))
const joined = flatten()(looked).mul(2)
const norm = normalization({ mean: [1, 2, 3], variance: [1, 1, 4] })(price)
const graph = model({
  inputs: { word, price },
  outputs: { y: dense(1, { name: 'y' })(dropout(0.5)(joined)), z: dense(2, { name: 'z' })(norm) },
  name: 'graph',
}) as Model
const graphBytes: Uint8Array = await graph.toBytes()

/** The file with its header changed. */
function edited(
  change: (header: Record<string, Entry & Record<string, string>>) => void,
  bytes = good,
): Uint8Array {
  const { header, data } = parts(bytes)
  change(header)
  return file(JSON.stringify(header), data)
}

interface Layer {
  class_name: string
  name: string
  config: Record<string, unknown>
  inbound_nodes: unknown[]
}
type Arch = Layer & { config: { layers: Layer[] } }

/** The file with one of its inner JSON texts changed. */
function within(key: string, change: (json: Arch) => void, bytes: Uint8Array): Uint8Array {
  return edited((header) => {
    const json = JSON.parse(header['__metadata__']![key]!) as Arch
    change(json)
    header['__metadata__']![key] = JSON.stringify(json)
  }, bytes)
}
const arch = (change: (json: Arch) => void, bytes: Uint8Array = graphBytes): Uint8Array =>
  within('model', change, bytes)
const training = (change: (json: never) => void): Uint8Array => within('training', change as never, good)
const text = (json: string): Uint8Array => edited((h) => (h['__metadata__']!['model'] = json))
const tensorOf = (entry: Partial<Entry>, data = new Uint8Array(8)): Uint8Array =>
  file(JSON.stringify({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...entry } }), data)
const layer = (json: Arch, name: string): Layer => json.config.layers.find((l) => l.name === name)!
const first = (h: Record<string, Entry>): Entry => h['d/kernel']!

type Case = readonly [id: string, bytes: () => Uint8Array, message: RegExp]
const cases: readonly Case[] = [
  ['E01 empty', () => new Uint8Array(0), /too short/],
  ['E01 seven bytes', () => new Uint8Array(7), /too short/],
  ['E01 eight zeros', () => new Uint8Array(8), /too short/],
  ...[2n ** 32n + 10n, 2n ** 53n + 1n, 2n ** 64n - 1n, 100_000_001n].map((n): Case => [
    `E02 header of ${n}`,
    () => file('{}', undefined, n),
    new RegExp(`header length ${n}.*10 bytes`),
  ]),
  ['E03 one too long', () => file('{}', new Uint8Array(0), 3n), /header length/],
  ['E03 one too short', () => file('{} ', new Uint8Array(0), 1n), /header/],
  ...[1, 4, 15].map((n): Case => [
    `E04 cut by ${n}`,
    () => good.slice(0, -n),
    /tensor ".*ends at byte \d+.*only \d+ bytes/,
  ]),
  ['E04 no data', () => file(JSON.stringify(parts(good).header)), /tensor .* only 0 bytes/],
  ['E05 trailing', () => new Uint8Array([...good, 80, 75, 3, 4]), /4 trailing bytes/],
  ['E05 html', () => encode('<!doctype html><html></html>'), /header length/],
  ...(
    [
      'nope',
      '[]',
      'null',
      '12',
      '\ufeff{}',
      ' {}',
      '{}\0',
      '{"a":1,}',
      '{"a":NaN}',
      '{/**/}',
      "{'a':1}",
      '{"a":01}',
    ] as const
  ).map((json): Case => [`E06 ${JSON.stringify(json)}`, () => file(json), /JSON|record|expected/]),
  ['E07 bad UTF-8', () => file(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), /UTF-8/],
  ['E07 half a pair', () => file('{"\\ud800":1}'), /UTF-8/],
  ...[1e4, 1e5, 1e6].map((n): Case => [
    `E08 ${n} deep`,
    () => file(`{"a":${'['.repeat(n)}${']'.repeat(n)}}`),
    /nesting/,
  ]),
  ['E08 within', () => text(`{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`), /nesting/],
  ['E09 plain', () => file('{"a":1,"a":2}'), /a: expected a record|duplicate key "a"/],
  ['E09 escaped', () => file('{"a":{},"\\u0061":{}}'), /duplicate key "a"/],
  ['E09 in an entry', () => file('{"a":{"dtype":"F32","dtype":"F32"}}'), /duplicate key "dtype"/],
  ...['__proto__', 'constructor', 'prototype'].flatMap((key): Case[] => [
    [`E10 ${key} in the header`, () => file(`{"${key}":{}}`), /reserved/],
    [
      `E10 ${key} escaped`,
      () =>
        file(
          `{"\\u005f${key.slice(1)}":{}}`.replace(
            key.startsWith('_') ? '\0' : '\\u005f',
            key.startsWith('_') ? '' : key[0]!,
          ),
        ),
      /reserved/,
    ],
    [`E10 ${key} in the metadata`, () => file(`{"__metadata__":{"${key}":"x"}}`), /reserved/],
    [`E10 ${key} in the model`, () => text(`{"${key}":{"polluted":1}}`), /reserved/],
    [
      `E10 ${key} in a config`,
      () =>
        edited(
          (h) =>
            (h['__metadata__']!['model'] = h['__metadata__']!['model']!.replace(
              '"units"',
              `"${key}":{},"units"`,
            )),
        ),
      /reserved/,
    ],
    [
      `E10 ${key} in the optimizer`,
      () =>
        edited(
          (h) =>
            (h['__metadata__']!['training'] = h['__metadata__']!['training']!.replace(
              '"iterations"',
              `"${key}":{},"iterations"`,
            )),
        ),
      /reserved/,
    ],
  ]),
  [
    'E11 toString',
    () =>
      edited(
        (h) =>
          (h['toString'] = { dtype: 'F32', shape: [0], data_offsets: [good.length, good.length] } as never),
      ),
    /hole|ends at/,
  ],
  ['E12 no shape', () => file('{"x":{"dtype":"F32","data_offsets":[0,0]}}'), /"shape" is missing/],
  ...['Q8', 'f32', 'toString', 7, null].map((dtype): Case => [
    `E13 ${dtype}`,
    () => tensorOf({ dtype }),
    /unknown dtype/,
  ]),
  ...[
    [-1, -2],
    [0.5, 8],
    [null],
    ['2'],
    [true],
    [[2]],
    [2 ** 53],
    [2 ** 31, 2 ** 31],
    [4294967297, 2],
    '2',
    { 0: 2 },
    null,
  ].map((shape): Case => [`E14 ${JSON.stringify(shape)}`, () => tensorOf({ shape }), /shape|needs/]),
  ['E14 1e999', () => file('{"x":{"dtype":"F32","shape":[1e999],"data_offsets":[0,0]}}'), /number within/],
  ['E14 rank', () => tensorOf({ shape: new Array(10_001).fill(1) }), /10001 items/],
  ...[[8, 0], [-8, 0], [0, 80], [0.5, 8.5], ['0', '8'], [0, 8, 8], [0, null], [0], null, {}].map(
    (offsets): Case => [
      `E15 ${JSON.stringify(offsets)}`,
      () => tensorOf({ data_offsets: offsets }),
      /offset|ends at|needs/,
    ],
  ),
  [
    'E16 identical',
    () =>
      file(
        JSON.stringify({
          a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] },
          b: { dtype: 'U8', shape: [4], data_offsets: [0, 4] },
        }),
        new Uint8Array(4),
      ),
    /overlap/,
  ],
  [
    'E16 hole',
    () => file(JSON.stringify({ a: { dtype: 'U8', shape: [2], data_offsets: [2, 4] } }), new Uint8Array(4)),
    /hole/,
  ],
  ['E17 size', () => tensorOf({ shape: [3] }), /needs 12 bytes.*give 8/],
  [
    'E18 not in the model',
    () =>
      edited((h) => {
        h['e/kernel'] = h['d/kernel']!
        delete h['d/kernel']
      }),
    /tensor "e\/kernel" is not in the model/,
  ],
  [
    'E18 another shape',
    () => edited((h) => (first(h).shape = [4, 1])),
    /weight "d\/kernel".*\[4,1\].*\[2,2\]/,
  ],
  [
    'E18 missing',
    () => {
      const { header } = parts(good)
      return file(JSON.stringify({ __metadata__: header['__metadata__'] }))
    },
    /needs \d+ bytes; the file holds 0|missing/,
  ],
  ...['Dence', 'constructor', 'toString', '__proto__'].map((name): Case => [
    `E19 ${name}`,
    () => arch((m) => (layer(m, 'y').class_name = name)),
    new RegExp(`unknown layer class "${name}"`),
  ]),
  [
    'E20 code',
    () =>
      arch((m) =>
        Object.assign(layer(m, 'y'), {
          class_name: 'Lambda',
          config: { fn: 'x => process.exit(1)', dtype: 'float32' },
        }),
      ),
    /layer "y".*function/,
  ],
  [
    'E20 a function',
    () => arch((m) => (layer(m, 'y').config['activation'] = { $function: 'evil' })),
    /registerFunction\("evil", evil\)/,
  ],
  [
    'E20 module',
    () => arch((m) => Object.assign(layer(m, 'y'), { module: 'os', registered_name: 'x' })),
    /unknown field "module"/,
  ],
  ...[1e9, 2 ** 40, null, -1, '2', 1.5, { $number: 'NaN' }].map((units): Case => [
    `E21 units ${JSON.stringify(units)}`,
    () => arch((m) => (layer(m, 'y').config['units'] = units)),
    /layer "y"|y \(Dense\)/,
  ]),
  [
    'E21 a vocabulary of unknowns',
    () =>
      arch(
        (m) => (m.config.layers.find((l) => l.class_name === 'StringLookup')!.config['numOovIndices'] = 1e9),
      ),
    /over the limit/,
  ],
  [
    'E22 layers',
    () => arch((m) => (m.config.layers = new Array(30_000).fill(layer(m, 'y')) as Layer[])),
    /over the limit/,
  ],
  [
    'E22 nodes',
    () => arch((m) => (layer(m, 'y').inbound_nodes = Array.from({ length: 200_000 }, () => []))),
    /over the limit/,
  ],
  [
    'E23 no such layer',
    () => arch((m) => (layer(m, 'y').inbound_nodes = [[{ tensor: ['prise', 0, 0] }]])),
    /"prise".*does not exist. Did you mean "price"/,
  ],
  [
    'E23 no such call',
    () => arch((m) => (layer(m, 'y').inbound_nodes = [[{ tensor: ['price', 5, 0] }]])),
    /call 5 of layer "price"/,
  ],
  [
    'E23 no such output',
    () => arch((m) => (layer(m, 'y').inbound_nodes = [[{ tensor: ['price', 0, 7] }]])),
    /output 7/,
  ],
  [
    'E23 a call that trains by a number',
    () => arch((m) => (layer(m, 'y').inbound_nodes = [{ args: [], training: 1 }] as never)),
    /training/,
  ],
  [
    'E23 a call with more than arguments',
    () => arch((m) => (layer(m, 'y').inbound_nodes = [{ args: [], training: true, mask: null }] as never)),
    /mask/,
  ],
  ['E23 itself', () => arch((m) => (layer(m, 'y').inbound_nodes = [[{ tensor: ['y', 0, 0] }]])), /cycle/],
  [
    'E23 cycle',
    () =>
      arch((m) => {
        layer(m, 'y').inbound_nodes = [[{ tensor: ['z', 0, 0] }]]
        layer(m, 'z').inbound_nodes = [[{ tensor: ['y', 0, 0] }]]
      }),
    /cycle/,
  ],
  ['E23 twice', () => arch((m) => m.config.layers.push(layer(m, 'y'))), /two layers are named "y"/],
  [
    'E26 keys',
    () =>
      file(
        JSON.stringify({
          __metadata__: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, ''])),
        }),
      ),
    /over the limit/,
  ],
  [
    'E29 iteration',
    () => training((t: { optimizer: { iterations: unknown } }) => (t.optimizer.iterations = -1)),
    /iterations/,
  ],
  [
    'E29 iteration 1e308',
    () => training((t: { optimizer: { iterations: unknown } }) => (t.optimizer.iterations = 1e308)),
    /iterations/,
  ],
  [
    'E29 another optimizer',
    () => training((t: { optimizer: { class_name: string } }) => (t.optimizer.class_name = 'sgd')),
    /sgd/,
  ],
  [
    'E29 unknown optimizer',
    () => training((t: { optimizer: { class_name: string } }) => (t.optimizer.class_name = 'toString')),
    /unknown optimizer/,
  ],
  [
    'E29 slot missing',
    () => training((t: { optimizer: { class_name: string } }) => (t.optimizer.class_name = 'adamax')),
    /adamax/,
  ],
  ...[undefined, '2', '1e3', ''].map((version): Case => [
    `E30 version ${version}`,
    () => edited((h) => (h['__metadata__']!['version'] = version!)),
    /version/,
  ]),
  ['E30 a record', () => edited((h) => (h['__metadata__']!['version'] = {} as never)), /expected a text/],
  [
    'E31 float64',
    () =>
      edited((h) => {
        first(h).dtype = 'I32'
      }),
    /int32.*float32/,
  ],
  [
    'E38 long names',
    () =>
      edited((h) => {
        h['\u001b[31m\n'.repeat(20_000)] = h['d/kernel']!
        delete h['d/kernel']
      }),
    /is not in the model/,
  ],
  ['E38 RTL', () => arch((m) => (layer(m, 'y').name = 'a\u202eb')), /control characters/],
]

const ends = (m: Model): string =>
  JSON.stringify([
    m.getWeights().map((w) => [...w.dataSync()]),
    m.optimizer.iterations,
    m.layers.map((l) => l.name),
  ])

describe('a bad file', () => {
  it.each(cases)('%s is refused with what and where; nothing changes', async (_, make, message) => {
    const bytes = make()
    const before = [ends(small), JSON.stringify(randomState())]
    const error: unknown = await loadModel(bytes).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error instanceof FormatError || error instanceof LimitError, String(error)).toBe(true)
    const told = (error as Error).message
    expect(told).toMatch(message)
    expect(told.length).toBeLessThan(1200)
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    expect(told).not.toMatch(/[\u0000-\u001f\u202e]/)
    await expect(small.loadWeights(bytes))
      .rejects.toThrow()
      .catch(() => undefined)
    expect([ends(small), JSON.stringify(randomState())]).toEqual(before)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

/** Mulberry32: the same numbers from the same seed. */
function generator(seed: number): (below: number) => number {
  let a = seed
  return (below) => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const TOKENS = [
  'null',
  '-1',
  '1e9',
  '2e9',
  '0.5',
  '[]',
  '{}',
  '"x"',
  '""',
  'true',
  '[[]]',
  '"__proto__"',
  '1e308',
  '{"$number":"NaN"}',
  '{"$function":"f"}',
  '4096',
  '0',
  '["a",0,0]',
  '"float64"',
  '"string"',
]

/** A file with something wrong in one of several ways; JSON is edited so that it stays JSON where it can. */
function mutant(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  const kind = below(10)
  const out = bytes.slice()
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (kind < 2) {
    for (let k = 1 + below(4); k > 0; k--) out[below(kind === 0 ? out.length : 8 + length)]! ^= 1 << below(8)
    return out
  }
  if (kind === 2) return out.slice(0, below(out.length))
  if (kind === 3) {
    const [from, to, n] = [below(out.length), below(out.length), below(64)]
    out.copyWithin(to, from, Math.min(out.length, from + n))
    return out
  }
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    Record<string, string>
  >
  const swap = (json: string): string => {
    // A value, somewhere: what stands between a colon, comma or bracket and the next one.
    const places = [...json.matchAll(/(?<=[:,[])(?:"[^"]*"|-?[\d.e+]+|true|false|null|\[\]|\{\})/g)]
    const place = places[below(places.length)]
    if (place === undefined) return json
    const other = below(3) === 0 ? places[below(places.length)]![0] : TOKENS[below(TOKENS.length)]!
    return json.slice(0, place.index) + other + json.slice(place.index + place[0].length)
  }
  const data = bytes.subarray(8 + length)
  if (kind === 4) return file(swap(JSON.stringify(header)), data)
  if (kind === 5) {
    const json = JSON.stringify(header)
    const [from, n] = [below(json.length), 1 + below(30)]
    return file(json.slice(0, from) + json.slice(from + n), data)
  }
  const inner = header['__metadata__']!
  const keys = ['model', 'model', 'training', 'state'].filter((key) => inner[key] !== undefined)
  if (keys.length === 0) return file(swap(JSON.stringify(header)), data)
  const key = keys[below(keys.length)]!
  let json = inner[key]!
  if (kind < 9) for (let k = 1 + below(2); k > 0; k--) json = swap(json)
  else {
    const names = [...json.matchAll(/"[^"]*"(?=:)/g)]
    const name = names[below(names.length)]!
    json =
      json.slice(0, name.index) + names[below(names.length)]![0] + json.slice(name.index + name[0].length)
  }
  inner[key] = json
  return file(JSON.stringify(header), data)
}

/** A folder on the web whose files are these. */
function serve(files: ReadonlyMap<string, Uint8Array>): void {
  vi.stubGlobal('fetch', (address: string) => {
    const bytes = files.get(address.replace('https://models.example/m/', ''))
    return Promise.resolve(
      bytes === undefined
        ? { ok: false, status: 404 }
        : { ok: true, status: 200, arrayBuffer: () => Promise.resolve(bytes.slice().buffer) },
    )
  })
}

/** The files of a model's folder. */
async function folderOf(m: Model): Promise<Map<string, Uint8Array>> {
  const path = mkdtempSync(join(tmpdir(), 'mutants-'))
  try {
    await m.save(path, { format: 'folder', maxFileBytes: 80 })
    return new Map(readdirSync(path).map((name) => [name, new Uint8Array(readFileSync(join(path, name)))]))
  } finally {
    rmSync(path, { recursive: true })
  }
}

/** A folder with something wrong: in its JSON, in one of its files, or with two of them changed for each other. */
function mutantFolder(
  files: ReadonlyMap<string, Uint8Array>,
  below: (n: number) => number,
): Map<string, Uint8Array> {
  const out = new Map(files)
  const names = [...files.keys()]
  const name = names[below(names.length)]!
  const kind = below(8)
  if (kind === 0) out.delete(name)
  else if (kind === 1) out.set(name, files.get(names[below(names.length)]!)!)
  else if (kind < 4 && name !== 'model.json') out.set(name, mutant(files.get(name)!, below))
  else {
    const text = new TextDecoder().decode(files.get('model.json'))
    const places = [...text.matchAll(/"[^"]*"|-?[\d.e+]+|true|false|null|\[\]|\{\}/g)]
    let changed = text
    for (let k = 1 + below(2); k > 0; k--) {
      const place = places[below(places.length)]!
      const other = below(3) === 0 ? places[below(places.length)]![0] : TOKENS[below(TOKENS.length)]!
      changed = changed.slice(0, place.index) + other + changed.slice(place.index + place[0].length)
    }
    out.set('model.json', encode(changed))
  }
  return out
}

describe('mutants', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
  })

  it('20 000 of them, files and folders: each is a model or a FormatError or LimitError, and soon', async () => {
    const below = generator(20_260_101)
    let accepted = 0
    let slowest = 0
    const folders = [await folderOf(small), await folderOf(graph)]
    const address = new URL('https://models.example/m/')
    for (let i = 0; i < 20_000; i++) {
      const [k, isFolder] = [i & 1, i % 5 >= 3]
      const source = isFolder ? address : mutant(k === 0 ? good : graphBytes, below)
      if (isFolder) serve(mutantFolder(folders[k]!, below))
      const start = performance.now()
      try {
        await loadModel(source, { restoreRandomState: false })
        accepted++
      } catch (error) {
        const isTyped = error instanceof FormatError || error instanceof LimitError
        if (!isTyped || !(error instanceof AdjointError))
          throw new Error(`mutant ${i}: ${String(error)}`, { cause: error })
      }
      slowest = Math.max(slowest, performance.now() - start)
    }
    expect(accepted).toBeLessThan(10_000)
    expect(slowest).toBeLessThan(1000)
    expect(Object.keys(Object.prototype)).toEqual([])
  }, 120_000)
})
