// What every layer of the package does, checked in one place. A layer without a case in layer-cases.ts fails.
import * as api from '@adjoint/layers'
import {
  input,
  LayerBase,
  loadModel,
  model,
  type Model,
  registerLayer,
  setFloatx,
  setSeed,
  ShapeError,
  SymbolicTensor,
  tensor,
  type Tensor,
  valueAndGrads,
  ValueError,
} from '@adjoint/layers'
import { arbitraries, checkGradients } from '@adjoint/core/testing'
import { fc, test } from '@fast-check/vitest'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { asTensor, callLayer, type LayerCase, layerCases } from '../support/layer-cases.js'

const arb = arbitraries(fc)
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'contract-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})
afterEach(() => {
  setFloatx('float32')
})

type Float = 'float32' | 'float64'
const sizeOf = (shape: readonly number[]): number => shape.reduce((n, side) => n * side, 1)
const batches = fc.integer({ min: 1, max: 3 })

/** Inputs for a case: as many rows each, ids or strings where these are meant. */
function inputsFor(c: LayerCase, dtype: Float): fc.Arbitrary<Tensor[]> {
  return fc.tuple(c.shapes, batches).chain(([shapes, rows]) => {
    const all = shapes.map((shape) => [rows, ...shape])
    const { ids, strings } = c
    if (ids === undefined && strings === undefined)
      return arb.tensors(all, {
        dtype,
        distinct: c.distinct ?? false,
        kinks: c.kinks ?? [],
        min: c.min ?? -2,
      })
    const valuesOf = (length: number): fc.Arbitrary<(string | number)[]> =>
      fc.array<string | number>(
        strings === undefined ? fc.nat({ max: ids! - 1 }) : fc.constantFrom(...strings),
        {
          minLength: length,
          maxLength: length,
        },
      )
    return fc.tuple(
      ...all.map((shape) => valuesOf(sizeOf(shape)).map((values) => dataOf(c, values, shape, dtype))),
    )
  })
}

function dataOf(c: LayerCase, values: (string | number)[], shape: readonly number[], dtype: Float): Tensor {
  return c.strings === undefined
    ? tensor(values as number[], { shape, dtype })
    : (tensor(values as string[], { shape, dtype: 'string' }) as unknown as Tensor)
}

/** The same shape with values that vary, none of them 0. */
function varied(x: Tensor): Tensor {
  return tensor(
    Array.from({ length: x.size }, (_, i) => Math.sin(i * i + 1)),
    { shape: x.shape, dtype: x.dtype },
  )
}

/** Inputs of three rows that are the same in each run. */
function fixedInputs(c: LayerCase, dtype: Float = 'float32'): Tensor[] {
  const [shapes] = fc.sample(
    c.shapes.filter((all) =>
      all.every((shape) => sizeOf(shape) > 1 || c.strings !== undefined || shape.length === 0),
    ),
    { seed: 5, numRuns: 1 },
  )
  return shapes!.map((shape, k) => {
    const full = [3, ...shape]
    if (c.ids === undefined && c.strings === undefined)
      return tensor(
        Array.from({ length: sizeOf(full) }, (_, i) => Math.sin(i * i + k + 1)),
        { shape: full, dtype },
      )
    const values = Array.from(
      { length: sizeOf(full) },
      (_, i) => c.strings?.[i % c.strings.length] ?? i % c.ids!,
    )
    return dataOf(c, values, full, dtype)
  })
}

function symbolsFor(c: LayerCase, xs: readonly Tensor[]): api.Sym.Num[] {
  return xs.map((x) =>
    input({ shape: x.shape.slice(1), ...(c.strings !== undefined && { dtype: 'string' as 'float32' }) }),
  )
}

/** The bits of a tensor, or its strings: -0 is not 0. */
function bitsOf(x: Tensor): string {
  const values = x.dataSync() as Float32Array | string[]
  const content = Array.isArray(values)
    ? JSON.stringify(values)
    : Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex')
  return `${x.dtype} ${JSON.stringify(x.shape)} ${content}`
}
const weightsOf = (layer: LayerBase): string[] => layer.getWeights().map(bitsOf)

type LayerClass = new (config: Record<string, unknown>) => LayerBase
/** A layer made anew of what another one's config tells, with its weights. */
function twinOf(c: LayerCase, layer: LayerBase, xs: readonly Tensor[], name?: string): LayerBase {
  const Class = layer.constructor as LayerClass
  const twin = new Class({ ...layer.getConfig(), ...(name !== undefined && { name }) })
  callLayer(c, twin, xs)
  twin.setWeights(layer.getWeights())
  return twin
}

describe.each(layerCases)('$name', (c) => {
  const isFloat = c.ids === undefined && c.strings === undefined && c.gives === undefined
  const call = (layer: LayerBase, xs: readonly Tensor[], training: boolean): Tensor =>
    asTensor(callLayer(c, layer, xs, { training }))

  for (const dtype of ['float32', 'float64'] as const)
    test.prop([inputsFor(c, dtype)], { numRuns: 12 })(
      `in a graph it has the shape, dtype and values that it has at once (${dtype})`,
      (xs) => {
        setFloatx(dtype)
        const layer = c.make()
        const symbols = symbolsFor(c, xs)
        const out = callLayer(c, layer, symbols)
        expect(out).toBeInstanceOf(SymbolicTensor)
        const eager = asTensor(callLayer(c, layer, xs))
        const symbolic = out as SymbolicTensor
        expect([null, ...symbolic.shape]).toEqual([null, ...eager.shape.slice(1)])
        expect(eager.shape[0]).toBe(xs[0]!.shape[0])
        expect(symbolic.dtype).toBe(eager.dtype)
        expect(eager.dtype).toBe(c.gives ?? dtype)
        const m = model({ inputs: symbols, outputs: symbolic }) as Model
        expect(bitsOf(m(xs) as Tensor)).toEqual(bitsOf(eager))
        if (layer.supportsMasking)
          expect(eager.shape.slice(0, -1), 'time steps stay').toEqual(xs[0]!.shape.slice(0, -1))
      },
    )

  test.prop([inputsFor(c, 'float32')], { numRuns: 8 })(
    'sides that are not known stay null or are worked out',
    (xs) => {
      const layer = c.make()
      const known = callLayer(c, layer, symbolsFor(c, xs)) as SymbolicTensor
      const nulls = symbolsFor(c, xs).map((x) =>
        input({ shape: x.shape.map((side, i) => (i === x.shape.length - 1 ? side : null)), dtype: x.dtype }),
      )
      let open: SymbolicTensor
      try {
        open = callLayer(c, layer, nulls) as SymbolicTensor
      } catch (error) {
        expect(error).toBeInstanceOf(ShapeError)
        return
      }
      expect(open.shape.length).toBe(known.shape.length)
      open.shape.forEach((side, i) => {
        expect([null, known.shape[i]]).toContain(side)
      })
    },
  )

  test.prop([inputsFor(c, 'float64')], { numRuns: 6 })(
    'its gradients are those of finite differences',
    (given) => {
      setFloatx('float64')
      setSeed(7)
      const layer = c.make()
      const xs = c.varied === true ? given.map(varied) : given
      callLayer(c, layer, xs)
      if (isFloat) {
        checkGradients((...ts: Tensor[]) => call(layer, ts, false), xs)
        checkGradients((...ts: Tensor[]) => call(layer, ts, false), xs, { order: 2 })
        // Each twin draws the same random numbers.
        if (c.inTraining !== undefined)
          checkGradients((...ts: Tensor[]) => call(twinOf(c, layer, ts), ts, true), xs)
      }
      if (c.gives === undefined) checkWeightGradients(layer, () => call(layer, xs, false))
      if (c.inTraining === 'statistics') checkWeightGradients(layer, () => call(layer, xs, true))
    },
  )

  test.prop([inputsFor(c, 'float32')], { numRuns: 6 })('its config makes the same layer again', (xs) => {
    const layer = c.make()
    const out = call(layer, xs, false)
    const config = layer.getConfig()
    const twin = twinOf(c, layer, xs)
    expect(twin.getConfig()).toEqual(config)
    expect(twin.name).toBe(layer.name)
    expect(weightsOf(twin)).toEqual(weightsOf(layer))
    expect(bitsOf(call(twin, xs, false))).toEqual(bitsOf(out))
    expect(bitsOf(call(twinOf(c, layer, xs), xs, true))).toEqual(bitsOf(call(twin, xs, true)))
    const frozen = new (layer.constructor as LayerClass)({ ...config, trainable: false })
    expect(frozen.trainable).toBe(false)
    callLayer(c, frozen, xs)
    expect(frozen.trainableWeights).toEqual([])
  })

  it('in training it does what it says, and otherwise the same each time', () => {
    const xs = fixedInputs(c)
    const layer = c.make()
    const out = bitsOf(call(layer, xs, false))
    const weights = weightsOf(layer)
    expect(bitsOf(call(layer, xs, false))).toBe(out)
    expect(bitsOf(asTensor(callLayer(c, layer, xs)))).toBe(out)
    expect(weightsOf(layer)).toEqual(weights)
    const trained = bitsOf(call(layer, xs, true))
    if (c.inTraining === undefined) expect(trained).toBe(out)
    else expect(trained).not.toBe(out)
    if (c.inTraining === 'random')
      expect(bitsOf(call(layer, xs, true)), 'other numbers each time').not.toBe(trained)
    if (c.inTraining === 'statistics') expect(weightsOf(layer)).not.toEqual(weights)
    else expect(weightsOf(layer)).toEqual(weights)
  })

  it('saved and loaded it is the same, bit for bit', async () => {
    setSeed(1)
    const xs = fixedInputs(c)
    const symbols = symbolsFor(c, xs).map((x, i) => x.named(`in${i}`))
    const m = model({ inputs: symbols, outputs: callLayer(c, c.make(), symbols) as SymbolicTensor }) as Model
    const path = join(folder, 'layer.safetensors')
    await m.save(path)
    const copy = await loadModel(path)
    expect(weightsOf(copy)).toEqual(weightsOf(m))
    for (const training of [false, true])
      expect(bitsOf(copy(xs, { training }) as Tensor)).toBe(bitsOf(m(xs, { training }) as Tensor))
    expect(copy.toJSON()).toEqual(m.toJSON())
    expect(copy.layers.map((l) => [l.name, l.className])).toEqual(m.layers.map((l) => [l.name, l.className]))
  })

  it('takes an activity regularizer, that its outputs add to the loss by', () => {
    const xs = fixedInputs(c)
    const config = c.make().getConfig()
    // One that adds nothing else to the loss: its own options are those of the regularizer.
    const option = config['l2'] === undefined ? { activityRegularizer: 'l2' } : { l1: 0, l2: 0.01 }
    const layer = new (c.make().constructor as LayerClass)({ ...config, ...option })
    const y = call(layer, xs, false)
    if (y.dtype !== 'float32') return
    const want = (0.01 * y.square().sum().itemSync()) / y.shape[0]!
    expect(layer.losses[0]!.itemSync()).toBeCloseTo(want, 4)
    expect(layer.getConfig()).toMatchObject(option)
  })

  it('its errors begin with its name and class', () => {
    const xs = fixedInputs(c)
    const layer = c.make()
    callLayer(c, layer, xs)
    const named = twinOf(c, layer, xs, 'mine')
    const begins = new RegExp(`^mine \\(${layer.className}\\)`)
    expect(() => named.invoke([3])).toThrow(begins)
    expect(() => named.invoke([])).toThrow(begins)
    expect(() => callLayer(c, named, xs, { trainin: true })).toThrow(begins)
    expect(() => named.invoke([named])).toThrow(begins)
    const isLambda = layer.className === 'Lambda'
    if (!isLambda) expect(() => named.invoke([c.takesList === true ? xs[0] : [xs[0], xs[0]]])).toThrow(begins)
    if (c.takesAll === true) return
    const wrong = xs.map(({ shape, size }) =>
      c.strings === undefined
        ? (tensor(new Array<string>(size).fill('a'), { shape, dtype: 'string' }) as unknown as Tensor)
        : tensor(new Array<number>(size).fill(1), { shape }),
    )
    expect(() => callLayer(c, named, wrong)).toThrow(begins)
    expect(() =>
      callLayer(
        c,
        named,
        wrong.map((x) => input({ shape: x.shape.slice(1), dtype: x.dtype })),
      ),
    ).toThrow(begins)
  })
})

/** The gradient by each weight, along one direction, against a central difference. */
function checkWeightGradients(layer: LayerBase, f: () => Tensor): void {
  const weights = layer.trainableWeights
  if (weights.length === 0) return
  const loss = (): Tensor => f().mul(1.5).sin().sum()
  const { grads } = valueAndGrads(loss, weights)
  const start = weights.map((w) => w.detach())
  const h = 1e-6
  weights.forEach((w, k) => {
    const direction = tensor(
      Array.from({ length: w.size }, (_, i) => Math.cos(3 * i + k)),
      { shape: w.shape },
    )
    const at = (step: number): number => {
      w.assign(start[k]!.add(direction.mul(step)))
      return loss().itemSync()
    }
    const numeric = (at(h) - at(-h)) / (2 * h)
    w.assign(start[k]!)
    const analytic = grads[k]!.mul(direction).sum().itemSync()
    // h² f‴ / 6 and ε |f| / h are both below 1e-8 here.
    expect(Math.abs(analytic - numeric)).toBeLessThan(1e-7 * Math.max(1, Math.abs(numeric)))
  })
}

describe('every layer that the package exports', () => {
  // These are made by users, hold other layers, or start a graph.
  const others = new Set<unknown>([
    api.LayerBase,
    api.Layer,
    api.Merge,
    api.Model,
    api.Sequential,
    api.InputLayer,
  ])
  const classes = Object.entries(api).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof LayerBase && !others.has(value),
  )

  it.each(classes)('%s has a case, and is known to what loads models by its name', (name, value) => {
    expect(layerCases.map((c) => c.make().constructor)).toContain(value)
    const Base = value as unknown as new () => object
    expect(() => {
      registerLayer(name, class extends Base {} as unknown as api.LayerClass)
    }).toThrow(ValueError)
  })

  it('are many', () => {
    expect(classes.length).toBeGreaterThan(40)
  })
})
