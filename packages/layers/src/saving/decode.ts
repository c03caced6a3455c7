import { FormatError, LimitError, type Tensor, ValueError } from '@adjoint/core'
import { checkDType, composites, didYouMean, rows, show } from '@adjoint/core/extend'
import { InputLayer } from '../input-layer.js'
import { checkInputShape, type LayerBase } from '../layer.js'
import { leavesIn } from '../leaves.js'
import { Model } from '../model.js'
import { checkName } from '../naming.js'
import { OpLayer } from '../op-layer.js'
import { Sequential } from '../sequential.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym } from '../types.js'
import {
  asFormatError,
  countOf,
  flagOf,
  isJsonList,
  isJsonRecord,
  type Json,
  listOf,
  recordOf,
  shown,
  textOf,
} from './json.js'
import { MOST_MODELS_DEEP, pathWith } from './paths.js'
import { classNamed } from './registry.js'
import { decodeValue } from './values.js'

const MOST_LAYERS = 20_000
const MOST_CALLS = 100_000
const MOST_RANK = 32
/** Sides and counts in the attributes of ops that are made of others: what these build grows with them. */
const MOST_OF_COMPOSITE = 2 ** 20

/**
 * The model that an architecture describes, with new weights.
 * @param constants the tensors in its graph.
 * @throws FormatError, naming the layer, for anything that `architectureOf` would not have written.
 */
export function modelOf(what: string, json: Json, constants: readonly Tensor[]): Model {
  const decoder = new Decoder(what, constants)
  const made = decoder.layer(json, '', 0)
  if (!(made instanceof Model)) throw new FormatError(`${what}: holds a layer, not a model`)
  decoder.finish()
  return made
}

/** Where a call's output is: the layer's name, which of its calls, which of the call's outputs. */
type Ref = readonly [name: string, call: number, output: number]

/** What a layer was called with: a list of arguments, or { args, training }. */
interface Arguments {
  readonly args: readonly Json[]
  readonly training: boolean | undefined
}

interface Call extends Arguments {
  readonly entry: Entry
  readonly index: number
  readonly refs: readonly Ref[]
}

interface Entry {
  readonly name: string
  readonly json: Json
  readonly layer: LayerBase | undefined
  readonly calls: readonly Arguments[]
  /** The outputs of the calls made so far. */
  readonly outputs: (readonly Sym.Any[])[]
}

const ENTRY = ['class_name', 'name', 'config']
const COMMON = ['named', 'trainable', 'inbound_nodes']

class Decoder {
  readonly #layers = new Map<string, LayerBase>()
  readonly #trainable: [LayerBase, boolean][] = []
  #count = 0
  #calls = 0

  constructor(
    readonly what: string,
    readonly constants: readonly Tensor[],
  ) {}

  /** What is set on a model is set on all layers inside: models come first, from the outside in. */
  finish(): void {
    for (const isFirst of [true, false])
      for (const [layer, trainable] of this.#trainable)
        if (layer instanceof Model === isFirst) layer.trainable = trainable
  }

  /** One layer or model; `path` is where it is. */
  layer(json: Json, path: string, depth: number): LayerBase {
    if (++this.#count > MOST_LAYERS) throw new LimitError(`${this.what}: more than ${MOST_LAYERS} layers`)
    const record = recordOf(`${this.what}: a layer`, json, ENTRY, COMMON)
    const name = this.#name(record['name'])
    const what = `${this.what}: layer ${show(name)}`
    const className = textOf(`${what}: class_name`, record['class_name'])
    const config = record['config']!
    if (className === 'Shared') {
      const shared = this.#layers.get(textOf(what, recordOf(what, config, ['path'])['path']))
      if (shared === undefined)
        throw new FormatError(`${what}: is shared with a layer that is not there before it`)
      return shared
    }
    const isNamed = flagOf(`${what}: named`, record['named'])
    const trainable = flagOf(`${what}: trainable`, record['trainable'])
    const options = isNamed ? { name } : {}
    const at = this.#trainable.length
    const layer = asFormatError(what, () => {
      switch (className) {
        case 'InputLayer': {
          const { shape, dtype } = this.#input(what, recordOf(what, config, ['shape', 'dtype']))
          return new InputLayer(shape, dtype, options)
        }
        case 'Functional':
          return this.#functional(what, config, path, depth, options)
        case 'Sequential':
          return this.#sequential(what, config, path, depth, options)
        default:
          return this.#ofClass(what, className, config, options)
      }
    })
    layer.autoName(name)
    if (layer.name !== name)
      throw new FormatError(
        `${what}: its class named it ${show(layer.name)}; pass the options on: constructor(options) { super(options) }`,
      )
    // Outer ones come before those inside.
    this.#trainable.splice(at, 0, [layer, trainable])
    if (className !== 'InputLayer') this.#layers.set(path, layer)
    return layer
  }

  #name(json: Json | undefined): string {
    const what = `${this.what}: the name of a layer`
    return asFormatError(what, () => checkName(what, textOf(what, json)))
  }

  #input(what: string, record: { readonly [key: string]: Json }) {
    const shape = checkInputShape(what, listOf(`${what}: shape`, record['shape'], MOST_RANK))
    return { shape, dtype: checkDType(what, record['dtype']) }
  }

  #ofClass(what: string, className: string, config: Json, options: { readonly name?: string }): LayerBase {
    const layerClass = classNamed(what, className)
    if (!isJsonRecord(config)) throw new FormatError(`${what}: config must be a record, got ${shown(config)}`)
    const decoded = { ...(decodeValue(`${what}: config`, config) as Record<string, unknown>), ...options }
    const made: unknown =
      layerClass.fromConfig === undefined ? new layerClass(decoded) : layerClass.fromConfig(decoded)
    if (!(made instanceof layerClass)) throw new ValueError(`fromConfig gave no ${className}`)
    if ('dtype' in decoded && made.dtype !== decoded['dtype'])
      throw new FormatError(
        `${what}: its weights are ${show(decoded['dtype'])}, its class made them ${made.dtype}; pass the options on`,
      )
    return made
  }

  #deeper(what: string, depth: number): number {
    if (depth >= MOST_MODELS_DEEP)
      throw new LimitError(`${what}: models are nested more than ${MOST_MODELS_DEEP} deep`)
    return depth + 1
  }

  #sequential(
    what: string,
    config: Json,
    path: string,
    depth: number,
    options: { readonly name?: string },
  ): LayerBase {
    const record = recordOf(what, config, ['input', 'layers'])
    const inner = this.#deeper(what, depth)
    const layers = listOf(`${what}: layers`, record['layers'], MOST_LAYERS).map((json) =>
      this.layer(json, pathWith(path, nameIn(json)), inner),
    )
    checkDistinct(
      what,
      layers.map((layer) => layer.name),
    )
    const { input } = record
    if (input === null) return new Sequential(layers, options)
    const start = recordOf(`${what}: input`, input, ['name', 'named', 'shape', 'dtype'])
    const name = this.#name(start['name'])
    const { shape, dtype } = this.#input(`${what}: input`, start)
    const inputLayer = new InputLayer(
      shape,
      dtype,
      flagOf(`${what}: input: named`, start['named']) ? { name } : {},
    )
    inputLayer.autoName(name)
    this.#calls += layers.length
    return new Sequential([inputLayer, ...layers], options)
  }

  #functional(
    what: string,
    config: Json,
    path: string,
    depth: number,
    options: { readonly name?: string },
  ): Model {
    const record = recordOf(what, config, ['layers', 'inputs', 'outputs'])
    const inner = this.#deeper(what, depth)
    const jsons = listOf(`${what}: layers`, record['layers'], MOST_LAYERS)
    checkDistinct(what, jsons.map(nameIn))
    const entries = new Map<string, Entry>()
    const calls: Call[] = []
    for (const json of jsons) {
      const entry = this.#entry(json, path, inner)
      entries.set(entry.name, entry)
      entry.calls.forEach(({ args, training }, index) => {
        if (++this.#calls > MOST_CALLS)
          throw new LimitError(`${what}: more than ${MOST_CALLS} calls of layers`)
        const label = `${this.what}: layer ${show(entry.name)}`
        calls.push({ entry, index, args, training, refs: args.flatMap((arg) => refsIn(label, arg, 0)) })
      })
    }
    this.#callAll(entries, calls)
    const ends = (key: 'inputs' | 'outputs'): unknown =>
      this.#tree(`${what}: ${key}`, record[key]!, entries, 0)
    const [inputs, outputs] = [ends('inputs'), ends('outputs')]
    for (const x of leavesIn(inputs))
      if (!isSymbolic(x) || !(x.node.layer instanceof InputLayer))
        throw new FormatError(`${what}: its inputs must be outputs of input layers`)
    const made = new Model({ inputs: inputs as Sym.Any, outputs: outputs as Sym.Any }, options)
    const used = new Set(made.layers)
    for (const { name, outputs: found } of entries.values())
      if (!used.has(found[0]?.[0]?.node.layer as LayerBase))
        throw new FormatError(`${what}: layer ${show(name)} does not lead from the inputs to the outputs`)
    return made
  }

  #entry(json: Json, path: string, depth: number): Entry {
    const record = recordOf(`${this.what}: a layer`, json, [...ENTRY, 'inbound_nodes'], COMMON)
    const name = this.#name(record['name'])
    const what = `${this.what}: layer ${show(name)}`
    const calls = listOf(`${what}: inbound_nodes`, record['inbound_nodes'], MOST_CALLS).map((json) =>
      argumentsOf(`${what}: inbound_nodes`, json),
    )
    const isOp = record['class_name'] === 'Op'
    const layer = isOp ? undefined : this.layer(json, pathWith(path, name), depth)
    const isInput = layer instanceof InputLayer
    if (isInput ? calls.length > 0 : isOp ? calls.length !== 1 : calls.length === 0)
      throw new FormatError(`${what}: has ${calls.length} inbound nodes`)
    return { name, json, layer, calls, outputs: isInput ? [[layer.output]] : [] }
  }

  /** Makes all calls, each once what it reads is there; the calls of one layer in their order. */
  #callAll(entries: ReadonlyMap<string, Entry>, calls: readonly Call[]): void {
    const numbers = new Map<Entry, number>()
    calls.forEach(({ entry, index }, i) => {
      if (index === 0) numbers.set(entry, i)
    })
    const waiting = new Array<number>(calls.length).fill(0)
    const next: number[][] = calls.map(() => [])
    calls.forEach(({ entry, index, refs }, i) => {
      const before = refs.flatMap((ref) => {
        const found = entries.get(ref[0])
        if (found === undefined) throw this.#dangling(entry.name, ref, [...entries.keys()])
        const count = found.layer instanceof InputLayer ? 1 : found.calls.length
        if (ref[1] >= count) throw this.#dangling(entry.name, ref, [])
        return found.layer instanceof InputLayer ? [] : [numbers.get(found)! + ref[1]]
      })
      if (index > 0) before.push(i - 1)
      waiting[i] = before.length
      for (const b of before) next[b]!.push(i)
    })
    const ready = calls.flatMap((_, i) => (waiting[i] === 0 ? [i] : []))
    let done = 0
    for (let k = 0; k < ready.length; k++) {
      this.#call(calls[ready[k]!]!, entries)
      done++
      for (const i of next[ready[k]!]!) if (--waiting[i]! === 0) ready.push(i)
    }
    if (done < calls.length) {
      const { entry } = calls[waiting.findIndex((n) => n > 0)]!
      throw new FormatError(`${this.what}: layer ${show(entry.name)} is part of a cycle, or waits for one`)
    }
  }

  #dangling(name: string, [of, call, output]: Ref, known: readonly string[]): FormatError {
    return new FormatError(
      `${this.what}: layer ${show(name)} reads output ${output} of call ${call} of layer ${show(of)}, which does not exist.${didYouMean(of, known)}`,
    )
  }

  #call({ entry, args, training }: Call, entries: ReadonlyMap<string, Entry>): void {
    const what = `${this.what}: layer ${show(entry.name)}`
    const values = args.map((arg) => this.#tree(what, arg, entries, 0))
    const result = asFormatError(what, () =>
      entry.layer === undefined
        ? this.#op(what, entry, values)
        : entry.layer.invoke(training === undefined ? values : [...values, { training }]),
    )
    const outputs = leavesIn(result).filter((x) => isSymbolic(x))
    if (outputs.length === 0) throw new FormatError(`${what}: is called on no tensor of the graph`)
    entry.outputs.push(outputs)
  }

  #op(what: string, { name, json }: Entry, operands: readonly unknown[]): Sym.Any {
    if (++this.#count > MOST_LAYERS) throw new LimitError(`${this.what}: more than ${MOST_LAYERS} layers`)
    const record = recordOf(what, json, [...ENTRY, 'inbound_nodes'], COMMON)
    const { op, attrs } = recordOf(`${what}: config`, record['config'], ['op', 'attrs'])
    const opName = textOf(`${what}: op`, op)
    const row = rows.get(opName) ?? composites.get(opName)
    if (row === undefined)
      throw new FormatError(
        `${what}: unknown op ${show(opName)}.${didYouMean(opName, [...rows.keys(), ...composites.keys()])}`,
      )
    if (!isJsonRecord(attrs)) throw new FormatError(`${what}: attrs must be a record, got ${shown(attrs)}`)
    if (!rows.has(opName)) checkModest(what, attrs)
    for (const x of operands)
      if (typeof x !== 'number' && (typeof x !== 'object' || x === null || Array.isArray(x)))
        throw new FormatError(`${what}: an operand must be a tensor or a number, got ${show(x)}`)
    const layer = new OpLayer(row, operands as never, decodeValue(`${what}: attrs`, attrs))
    layer.autoName(name)
    return layer.stage()
  }

  #tree(what: string, json: Json, entries: ReadonlyMap<string, Entry>, depth: number): unknown {
    if (depth > 50) throw new FormatError(`${what}: a structure is nested more than 50 levels deep`)
    const record = recordOf(
      `${what}: a structure`,
      json,
      [],
      ['tensor', 'name', 'constant', 'list', 'record', 'value'],
    )
    const [kind] = Object.keys(record)
    recordOf(`${what}: a structure`, json, [], kind === 'tensor' ? ['tensor', 'name'] : [kind ?? ''])
    switch (kind) {
      case 'tensor': {
        const [of, call, output] = refOf(what, record['tensor'])
        const found = entries.get(of)?.outputs[call]?.[output]
        if (found === undefined) throw this.#dangling(what, [of, call, output], [...entries.keys()])
        const { name } = record
        return name === undefined
          ? found
          : asFormatError(what, () => found.named(textOf(`${what}: name`, name)))
      }
      case 'constant': {
        const at = countOf(`${what}: constant`, record['constant'])
        const found = this.constants[at]
        if (found === undefined) throw new FormatError(`${what}: constant ${at} is not in the file`)
        return found
      }
      case 'list':
        return listOf(what, record['list'], MOST_CALLS).map((x) => this.#tree(what, x, entries, depth + 1))
      case 'record': {
        const out: Record<string, unknown> = {}
        for (const pair of listOf(what, record['record'], MOST_CALLS)) {
          const [key, x] = listOf(what, pair, 2)
          const name = textOf(`${what}: key`, key)
          if (Object.hasOwn(out, name)) throw new FormatError(`${what}: duplicate key ${show(name)}`)
          const value = this.#tree(what, x ?? null, entries, depth + 1)
          // As an own property whatever the name.
          Object.defineProperty(out, name, { value, enumerable: true, writable: true, configurable: true })
        }
        return out
      }
      case 'value':
        return decodeValue(what, record['value']!)
      default:
        throw new FormatError(`${what}: a structure must be a tensor, constant, list, record or value`)
    }
  }
}

function argumentsOf(what: string, json: Json): Arguments {
  const { args, training } = isJsonRecord(json)
    ? recordOf(what, json, ['args', 'training'])
    : { args: json, training: undefined }
  return {
    args: listOf(what, args, MOST_CALLS),
    training: training === undefined ? undefined : flagOf(`${what}: training`, training),
  }
}

function nameIn(json: Json): string {
  const name = isJsonRecord(json) ? json['name'] : undefined
  return typeof name === 'string' ? name : ''
}

function checkDistinct(what: string, names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name))
      throw new FormatError(`${what}: two layers are named ${show(name)}; names must be unique`)
    seen.add(name)
  }
}

function refOf(what: string, json: Json | undefined): Ref {
  const list = listOf(`${what}: tensor`, json, 3)
  if (list.length !== 3)
    throw new FormatError(`${what}: a tensor is [layer, call, output], got ${show(list)}`)
  return [
    textOf(`${what}: tensor`, list[0]),
    countOf(`${what}: call`, list[1]),
    countOf(`${what}: output`, list[2]),
  ]
}

/** All tensors of calls that a structure reads. */
function refsIn(what: string, json: Json, depth: number): Ref[] {
  if (depth > 50) throw new FormatError(`${what}: a structure is nested more than 50 levels deep`)
  if (!isJsonRecord(json)) return []
  if (json['tensor'] !== undefined) return [refOf(what, json['tensor'])]
  const { list, record } = json
  if (isJsonList(list)) return list.flatMap((x) => refsIn(what, x, depth + 1))
  if (isJsonList(record))
    return record.flatMap((pair) => (isJsonList(pair) ? refsIn(what, pair[1] ?? null, depth + 1) : []))
  return []
}

/** @throws LimitError for whole numbers that would have a composite op build more than is sensible. */
function checkModest(what: string, json: Json): void {
  if (typeof json === 'number' && Number.isInteger(json) && Math.abs(json) > MOST_OF_COMPOSITE)
    throw new LimitError(`${what}: ${json} in its attributes is over the limit of ${MOST_OF_COMPOSITE}`)
  if (isJsonList(json)) for (const x of json) checkModest(what, x)
  else if (isJsonRecord(json)) for (const key of Object.keys(json)) checkModest(what, json[key]!)
}
