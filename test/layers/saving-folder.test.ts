import {
  adam,
  BackendError,
  dense,
  dropout,
  embedding,
  FormatError,
  initializers,
  input,
  LimitError,
  loadModel,
  model,
  type Model,
  sequential,
  setSeed,
  stringLookup,
  ValueError,
} from '@adjoint/layers'
import { execFileSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import * as realFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest'
import { stateOf } from '../support/state.js'

let root = ''
let count = 0
/** A path where nothing is yet. */
const fresh = (): string => join(root, `m${count++}`)
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'saving-folder-'))
})
afterAll(() => {
  rmSync(root, { recursive: true })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

function trained(seed = 3): Model {
  setSeed(seed)
  const word = input({ shape: [1], dtype: 'string', name: 'word' })
  const price = input({ shape: [3], name: 'price' })
  const looked = embedding(5, 2)(stringLookup({ vocabulary: ['a', 'b'] })(word))
  const m = model({
    inputs: { word, price },
    outputs: { y: dense(1, { name: 'y' })(looked), z: dense(2, { name: 'z' })(dropout(0.5)(price)) },
    name: 'both',
  }) as Model
  return m.compile({ optimizer: adam({ learningRate: 0.01 }), loss: 'mse', lossWeights: 'uncertainty' })
}
const X = { word: [['a'], ['b'], ['c']], price: [[1, 2, 3], [4, 5, 6], [7, 8, 10]] } // prettier-ignore
const Y = { y: [[[1]], [[2]], [[3]]], z: [[1, 2], [3, 4], [5, 6]] } // prettier-ignore
const step = (m: Model): Promise<unknown> => m.fit(X, Y, { epochs: 2, batchSize: 2, verbose: 0 })

interface Manifest {
  [key: string]: unknown
  weights: { file: string; bytes: number }[]
  model: { class_name: string; config: { layers: { name: string }[] } }
}
const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as Manifest

describe('a folder', () => {
  it('holds the architecture as JSON and the weights; training goes on from it bit for bit', async () => {
    const m = trained()
    await step(m)
    const folder = fresh()
    await m.save(`${folder}/`)
    const { weights, model: architecture, format, version } = manifestOf(folder)
    expect([format, version]).toEqual(['adjoint-model', '1'])
    expect(architecture.class_name).toBe('Functional')
    expect(architecture.config.layers.map((layer) => layer.name)).toContain('price')
    expect(weights).toHaveLength(1)
    expect(readdirSync(folder).toSorted()).toEqual(['model.json', weights[0]!.file])
    expect(statSync(join(folder, weights[0]!.file)).size).toBe(weights[0]!.bytes)
    for (const source of [folder, `${folder}/`, pathToFileURL(folder), pathToFileURL(`${folder}/`)])
      expect(stateOf(await loadModel(source))).toEqual(stateOf(m))
    const again = await loadModel(folder)
    await step(m)
    const after = m.getWeights().map((w) => w.arraySync())
    await loadModel(folder)
    await step(again)
    expect(again.getWeights().map((w) => w.arraySync())).toEqual(after)
  })

  it('is the same whatever says so, and a file stays a file', async () => {
    const m = trained()
    const [folder, file] = [fresh(), fresh()]
    await m.save(folder, { format: 'folder' })
    await m.save(file)
    expect(statSync(folder).isDirectory()).toBe(true)
    expect(statSync(file).isFile()).toBe(true)
    expect(stateOf(await loadModel(folder))).toEqual(stateOf(await loadModel(file)))
    await expect(m.save(folder, { format: 'zip' as never })).rejects.toThrow(/format must be/)
    await expect(m.save(folder, { format: 'folder', maxFileBytes: 0 })).rejects.toThrow(/maxFileBytes/)
    await expect(m.save(folder)).rejects.toThrow(BackendError)
    await expect(m.save(`${file}/`)).rejects.toThrow(BackendError)
    await expect(m.save(join(root, 'none', 'm/'))).rejects.toThrow(BackendError)
  })

  it('gives its weights to a model of the same kind; without the optimizer it has none', async () => {
    const folder = fresh()
    const m = trained()
    await m.save(folder, { format: 'folder', includeOptimizer: false })
    expect(manifestOf(folder)['training']).toBeUndefined()
    const other = trained(8)
    other.compile({ loss: 'mse' })
    await other.loadWeights(folder)
    expect(other.getWeights().map((w) => w.arraySync())).toEqual(
      m.getWeights().slice(0, -2).map((w) => w.arraySync()), // prettier-ignore
    )
    expect((await loadModel(folder)).isCompiled).toBe(false)
  })

  it('may have its weights in several files', async () => {
    const folder = fresh()
    const m = trained()
    await step(m)
    await m.save(folder, { format: 'folder', maxFileBytes: 40 })
    const { weights } = manifestOf(folder)
    expect(weights.length).toBeGreaterThan(3)
    expect(weights.map(({ file }) => /-\d+-of-\d+\./.test(file))).not.toContain(false)
    expect(stateOf(await loadModel(folder))).toEqual(stateOf(m))
  })

  it('is saved over: old weights go, what others put there stays, and so does what may be in use', async () => {
    const folder = fresh()
    await trained().save(folder, { format: 'folder' })
    const [old] = manifestOf(folder).weights
    const leftovers = ['weights-9-9-x.safetensors', 'model.json.9-9-x.tmp', 'weights-8-8-x.safetensors']
    for (const name of [...leftovers, 'notes.txt']) writeFileSync(join(folder, name), 'x')
    const longAgo = new Date(Date.now() - 7_200_000)
    for (const name of leftovers.slice(0, 2)) utimesSync(join(folder, name), longAgo, longAgo)
    utimesSync(join(folder, 'notes.txt'), longAgo, longAgo)
    const m = trained(4)
    await m.save(folder, { format: 'folder' })
    const [now] = manifestOf(folder).weights
    expect(now!.file).not.toBe(old!.file)
    expect(readdirSync(folder).toSorted()).toEqual(
      ['model.json', 'notes.txt', 'weights-8-8-x.safetensors', now!.file].toSorted(),
    )
    expect(stateOf(await loadModel(folder))).toEqual(stateOf(m))
  })

  it("never overwrites somebody else's model.json", async () => {
    const folder = fresh()
    mkdirSync(folder)
    writeFileSync(join(folder, 'model.json'), '{"modelTopology":{}}')
    await expect(trained().save(folder, { format: 'folder' })).rejects.toThrow(ValueError)
    await expect(trained().save(folder, { format: 'folder' })).rejects.toThrow(/another folder/)
    expect(readdirSync(folder)).toEqual(['model.json'])
    expect(readFileSync(join(folder, 'model.json'), 'utf8')).toBe('{"modelTopology":{}}')
  })

  it('E37: written by several at once it is the one or the other, and readers meanwhile see one whole', async () => {
    const folder = fresh()
    const same = (value: number) =>
      sequential([
        dense(3, { inputShape: [2], kernelInitializer: initializers.constant(value), useBias: false }),
      ])
    await same(0).save(folder, { format: 'folder', maxFileBytes: 1 })
    const seen: number[][] = []
    const reading = Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        for (let k = 0; k < i % 4; k++) await new Promise(setImmediate)
        seen.push([...(await loadModel(folder)).getWeights()[0]!.dataSync()])
      }),
    )
    await Promise.all([1, 2, 3, 4].map((value) => same(value).save(folder, { format: 'folder' })))
    await reading
    seen.push([...(await loadModel(folder)).getWeights()[0]!.dataSync()])
    for (const weights of seen) expect(new Set(weights).size).toBe(1)
    expect(seen.at(-1)![0]).toBeGreaterThan(0)
  })
})

// ---- a save that ends in the middle

type FailWhen = (operation: number, name: string) => 'go on' | 'die' | 'fail'
/** Puts files under a test: the operation that `when` names fails, or it and all after it never happen. */
function intercepted(when: FailWhen): { operations(): number } {
  let operations = 0
  let dead = false
  const refuse = (name: string, code: string): Error =>
    Object.assign(new Error(`${code}: no space left on device, ${name}`), { code })
  const guard =
    <A extends unknown[], R>(
      name: string,
      f: (...args: A) => Promise<R>,
      half?: (...args: A) => Promise<unknown>,
    ) =>
    async (...args: A): Promise<R> => {
      const what = dead ? 'die' : when(operations++, name)
      if (what === 'go on') return f(...args)
      if (what === 'die' && !dead) {
        dead = true
        await half?.(...args)
      } else if (what === 'fail') await half?.(...args)
      throw refuse(name, 'ENOSPC')
    }
  const fs = {
    ...realFs,
    mkdir: guard('mkdir', (path: string) => realFs.mkdir(path)),
    rename: guard('rename', realFs.rename),
    unlink: guard('unlink', realFs.unlink),
    rmdir: guard('rmdir', (path: string) => realFs.rmdir(path)),
    open: guard('open', async (path: string, flags: string) => {
      const file = await realFs.open(path, flags)
      return {
        stat: () => file.stat(),
        readFile: () => file.readFile(),
        // Also a process that is killed closes its files.
        close: () => file.close(),
        sync: guard('sync', () => file.sync()),
        writeFile: guard(
          'write',
          (bytes: Uint8Array) => file.writeFile(bytes),
          (bytes: Uint8Array) => file.writeFile(bytes.subarray(0, bytes.length >> 1)),
        ),
      }
    }),
  }
  const real = process.getBuiltinModule.bind(process)
  vi.spyOn(process, 'getBuiltinModule').mockImplementation((name: string) =>
    name === 'node:fs/promises' ? fs : real(name as 'fs'),
  )
  return { operations: () => operations }
}

describe.each(['file', 'folder'] as const)('saving a %s', (format) => {
  const options = { format, ...(format === 'folder' && { maxFileBytes: 100 }) } as const

  test.each(['nothing', 'a model'])(
    'E35: killed at any point it leaves the old or the new, over %s',
    async (first) => {
      const [old, next] = [trained(1), trained(2)]
      const [oldState, newState] = [JSON.stringify(stateOf(old)), JSON.stringify(stateOf(next))]
      const weightsOf = (state: string): unknown => (JSON.parse(state) as { weights: unknown }).weights
      const ends = new Set<string>()
      for (let at = 0; ; at++) {
        const path = fresh()
        if (first === 'a model') await old.save(path, options)
        const fs = intercepted((operation) => (operation === at ? 'die' : 'go on'))
        const failed = await next.save(path, options).then(
          () => false,
          () => true,
        )
        const isWhole = fs.operations() <= at
        vi.restoreAllMocks()
        const loaded = await loadModel(path).catch((error: unknown) => error)
        if (loaded instanceof Error) {
          expect(loaded).toBeInstanceOf(FormatError)
          expect(first).toBe('nothing')
          ends.add('nothing')
        } else {
          const weights = (stateOf(loaded as Model) as { weights: unknown }).weights
          const isNew = JSON.stringify(weights) === JSON.stringify(weightsOf(newState))
          if (!isNew) expect(weights).toEqual(weightsOf(oldState))
          if (!failed) expect(isNew).toBe(true)
          ends.add(isNew ? 'new' : 'old')
        }
        // What is left keeps nobody from saving.
        await next.save(path, options)
        expect(weightsOf(JSON.stringify(stateOf(await loadModel(path))))).toEqual(weightsOf(newState))
        if (isWhole) break
      }
      expect([...ends].toSorted()).toEqual(first === 'nothing' ? ['new', 'nothing'] : ['new', 'old'])
    },
  )

  test('E36: where the disk is full at any point the error has the path, the old is whole, and nothing is left', async () => {
    const [old, next] = [trained(1), trained(2)]
    for (let at = 0; ; at++) {
      const path = fresh()
      await old.save(path, options)
      const before = [readdirSync(root).length, format === 'folder' ? readdirSync(path) : []]
      const fs = intercepted((operation, name) => (operation === at && name !== 'unlink' ? 'fail' : 'go on'))
      const error: unknown = await next.save(path, options).then(
        () => undefined,
        (e: unknown) => e,
      )
      vi.restoreAllMocks()
      if (error !== undefined) {
        expect(error).toBeInstanceOf(BackendError)
        expect((error as Error).message).toContain(path)
        expect((error as Error).message).toContain('ENOSPC')
        expect([readdirSync(root).length, format === 'folder' ? readdirSync(path) : []]).toEqual(before)
      }
      const kept = error === undefined ? next : old
      expect((await loadModel(path)).getWeights().map((w) => w.arraySync())).toEqual(
        kept.getWeights().map((w) => w.arraySync()),
      )
      if (fs.operations() <= at) break
    }
  })
})

// ---- hostile folders

/** A folder with one thing changed. */
async function spoilt(change: (manifest: Manifest, folder: string) => void | string): Promise<string> {
  const folder = fresh()
  await trained().save(folder, { format: 'folder', maxFileBytes: 40 })
  const manifest = manifestOf(folder)
  const text = change(manifest, folder)
  writeFileSync(join(folder, 'model.json'), text ?? JSON.stringify(manifest))
  return folder
}

const PATHS = [
  '../../etc/passwd',
  '/etc/passwd',
  'C:\\x',
  '..\\x',
  'a/../../b',
  'file:///etc/passwd',
  'http://example.com/weights-1.safetensors',
  '\\\\host\\x',
  '%2e%2e/weights-1.safetensors',
  'weights-1.safetensors\0',
  'weights-../x.safetensors',
  './weights-1.safetensors',
  '',
  '/dev/zero',
  'model.json',
  '__proto__',
]
const PIPE_MAKER = 'mkfifo'
/** Puts something else in the place of the first file of weights. */
const instead = (put: (path: string, folder: string) => void) => (manifest: Manifest, folder: string) => {
  const path = join(folder, manifest.weights[0]!.file)
  const away = `${folder}-away`
  writeFileSync(away, readFileSync(path))
  rmSync(path)
  put(path, away)
}

const cases: readonly (readonly [string, Parameters<typeof spoilt>[0], RegExp])[] = [
  ...PATHS.map((file): (typeof cases)[number] => [
    `E24 the path ${JSON.stringify(file)}`,
    (m) => void (m.weights[0]!.file = file),
    /is no name of a file of weights in the model's own folder/,
  ]),
  ['E24 a path that is no text', (m) => void (m.weights[0]!.file = ['x'] as never), /expected a text/],
  ['E24 a symbolic link', instead((path, away) => symlinkSync(away, path)), /is no file/],
  ['E24 a symbolic link to a device', instead((path) => symlinkSync('/dev/zero', path)), /is no file/],
  ['E24 a hard link', instead((path, away) => linkSync(away, path)), /is a link to a file elsewhere/],
  ['E24 a directory', instead((path) => mkdirSync(path)), /is no file/],
  ['E24 a pipe', instead((path) => execFileSync(PIPE_MAKER, [path])), /is no file/],
  [
    'E24 model.json is a link',
    (m, folder) => {
      const text = JSON.stringify(m)
      rmSync(join(folder, 'model.json'))
      symlinkSync('/etc/passwd', join(folder, 'model.json'))
      return text
    },
    /"model.json".*is no file/,
  ],
  ['E25 listed twice', (m) => void m.weights.push(m.weights[0]!), /listed twice/],
  ['E25 missing', instead(() => undefined), /cannot read "weights-.*ENOENT/],
  ['E25 left out', (m) => void m.weights.pop(), /is missing in the file|needs \d+ bytes; the file holds/],
  [
    'E25 longer than told',
    (m, folder) => {
      const path = join(folder, m.weights[1]!.file)
      writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from([0])]))
    },
    /has \d+ bytes, over the limit of/,
  ],
  [
    'E25 shorter than told',
    (m, folder) => {
      const path = join(folder, m.weights[1]!.file)
      writeFileSync(path, readFileSync(path).subarray(0, -1))
    },
    /weights-.*has \d+ bytes, but model.json tells of \d+/,
  ],
  ['E25 told longer', (m) => void m.weights[0]!.bytes++, /has \d+ bytes, but model.json tells of/],
  ['E25 told to be huge', (m) => void (m.weights[0]!.bytes = 2 ** 40), /expected a whole number from 0 to/],
  [
    'E25 of another save',
    (m, folder) => {
      const [a, b] = [join(folder, m.weights[0]!.file), join(folder, m.weights[1]!.file)]
      const [first, second] = [readFileSync(a), readFileSync(b)]
      writeFileSync(a, second)
      writeFileSync(b, first)
      Object.assign(m.weights[0]!, { bytes: second.length })
      Object.assign(m.weights[1]!, { bytes: first.length })
    },
    /was written as "weights-/,
  ],
  ['E06 no JSON', () => 'nope', /model.json: not valid JSON at character 0/],
  ['E06 empty', () => '', /model.json: not valid JSON/],
  ['E06 a list', () => '[]', /model.json: holds no record/],
  ['E07 a broken pair', () => '{"\\ud800":1}', /surrogate/],
  ['E08 deep', () => `{"a":${'['.repeat(1e5)}`, /nesting/],
  ['E09 a key twice', (m) => `{"format":"x",${JSON.stringify(m).slice(1)}`, /duplicate key "format"/],
  ...['__proto__', 'constructor', 'prototype'].map((key): (typeof cases)[number] => [
    `E10 ${key}`,
    (m) => `{"${key}":{"polluted":1},${JSON.stringify(m).slice(1)}`,
    /reserved/,
  ]),
  [
    'E12 no weights',
    (m) => JSON.stringify({ ...m, weights: undefined }),
    /weights: expected a list, got nothing/,
  ],
  ['E12 no model', (m) => JSON.stringify({ ...m, model: undefined }), /"model" is missing/],
  [
    'E22 many files',
    (m) => JSON.stringify({ ...m, weights: new Array(20_000).fill(m.weights[0]) }),
    /over the limit/,
  ],
  ['E30 a newer version', (m) => void (m['version'] = '2'), /version "2"; this build reads version 1/],
  ['E30 another format', (m) => void (m['format'] = 'keras'), /the format is "keras"/],
  ['an unknown field', (m) => void (m['modules'] = []), /unknown field "modules"/],
  ['E29 an iteration of -1', (m) => void ((m['training'] as { optimizer: { iterations: number } }).optimizer.iterations = -1), /iterations/], // prettier-ignore
]

describe('a hostile folder', () => {
  it.each(cases)('%s is refused with what and where; nothing changes', async (what, change, message) => {
    const folder = await spoilt(change)
    const m = trained(9)
    const before = stateOf(m)
    const error: unknown = await loadModel(folder).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error instanceof FormatError || error instanceof LimitError, String(error)).toBe(true)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message.length).toBeLessThan(1200)
    await m.loadWeights(folder).catch(() => undefined)
    if (!/E12 no model|E29|E30|unknown field|E22 many/.test(what)) expect(stateOf(m)).toEqual(before)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

describe('a folder on the web', () => {
  it('is asked for by its address, and for nothing but its own files', async () => {
    const folder = fresh()
    const m = trained()
    await m.save(folder, { format: 'folder', maxFileBytes: 400 })
    const asked: string[] = []
    vi.stubGlobal('fetch', (address: string) => {
      asked.push(address)
      const name = address.replace('https://models.example/m/', '')
      return Promise.resolve(readdirSync(folder).includes(name) ? new Response(readFileSync(join(folder, name))) : new Response('', { status: 404 })) // prettier-ignore
    })
    const loaded = await loadModel(new URL('https://models.example/m/'))
    expect(stateOf(loaded)).toEqual(stateOf(m))
    expect(asked).toEqual(
      ['model.json', ...manifestOf(folder).weights.map(({ file }) => file)].map(
        (name) => `https://models.example/m/${name}`,
      ),
    )
    await expect(loadModel(new URL('https://models.example/other/'))).rejects.toThrow(/status 404/)
  })

  it('is not read beyond what it tells of', async () => {
    let read = 0
    const endless = new ReadableStream({
      pull(controller) {
        read += 65_536
        controller.enqueue(new Uint8Array(65_536))
      },
    })
    const manifest = { weights: [{ file: 'weights-1.safetensors', bytes: 100_000 }] }
    vi.stubGlobal('fetch', (address: string) =>
      Promise.resolve(new Response(address.endsWith('.json') ? JSON.stringify(manifest) : endless)),
    )
    await expect(loadModel(new URL('https://models.example/m/'))).rejects.toThrow(LimitError)
    expect(read).toBeLessThan(1_000_000)
  })
})
