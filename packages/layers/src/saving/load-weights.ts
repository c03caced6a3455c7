import { FormatError, LimitError, NonFiniteError, type Tensor, type Variable } from '@adjoint/core'
import { formatShape, isFloat, sameShape, show } from '@adjoint/core/extend'
import type { LayerBase } from '../layer.js'
import { checkKeys } from '../option-checks.js'
import { type ModelSource, openSource } from './files.js'
import { PART, readFolder } from './folder.js'
import { asFormatError, listOf, parseJson, textOf } from './json.js'
import { type Paths, pathsOf } from './paths.js'
import { type Contents, readSafetensors } from './safetensors.js'
import { MODEL_FORMAT, VERSION, WEIGHTS_FORMAT } from './save.js'
import { dtypeOf, tensorOf, valuesOf } from './tensors.js'
import { decodeValue } from './values.js'

/** How deep the JSON of a file may be nested. */
export const MOST_DEPTH = 400
const MOST_KEYS = 1000
const KNOWN_METADATA = ['format', 'version', 'model', 'training', 'state', PART]

/**
 * Sets a model's weights to those in a file, of `saveWeights` or of a whole model. All or none.
 * @throws FormatError where the file's weights are not this model's, naming them.
 */
export async function loadWeights(
  model: LayerBase,
  source: ModelSource,
  options: { readonly finiteOnly?: boolean } = {},
): Promise<void> {
  const what = 'loadWeights'
  checkKeys(what, options, ['finiteOnly'])
  const opened = await openSource(what, source)
  const file =
    opened instanceof Uint8Array ? readSafetensors(what, opened) : (await readFolder(what, opened)).contents
  checkHead(what, file, [WEIGHTS_FORMAT, MODEL_FORMAT])
  const paths = pathsOf(model)
  const assign = assignmentOf(what, file, paths, options.finiteOnly ?? false)
  const restore = restorersOf(what, file, paths)
  assign()
  restore()
}

export function checkHead(what: string, { metadata }: Contents, formats: readonly string[]): void {
  if (metadata.size > MOST_KEYS)
    throw new LimitError(`${what}: ${metadata.size} keys in __metadata__ are over the limit of ${MOST_KEYS}`)
  const format = metadata.get('format')
  if (format === undefined || !formats.includes(format))
    throw new FormatError(
      `${what}: ${format === undefined ? 'the field "format" is missing in __metadata__' : `the format is ${show(format)}`}; ` +
        `expected ${formats.map((name) => show(name)).join(' or ')}`,
    )
  const version = metadata.get('version')
  if (version !== VERSION)
    throw new FormatError(
      `${what}: ${version === undefined ? 'the version is missing' : `the file is of version ${show(version)}`}; this build reads version ${VERSION}`,
    )
  for (const key of metadata.keys())
    if (!KNOWN_METADATA.includes(key))
      throw new FormatError(
        `${what}: unknown key ${show(key)} in __metadata__; known are ${KNOWN_METADATA.join(', ')}`,
      )
}

/** Checks a file's weights against a model's; the result sets them. */
export function assignmentOf(
  what: string,
  { tensors }: Contents,
  { weights }: Paths,
  finiteOnly: boolean,
  others?: ReadonlySet<string>,
  constants: number = 0,
): () => void {
  for (const name of tensors.keys()) {
    // Weights alone are taken from a whole model's file too.
    const isKnown =
      weights.has(name) ||
      (others === undefined
        ? name.startsWith('@')
        : others.has(name) || (name.startsWith('@constant/') && isBelow(name.slice(10), constants)))
    if (!isKnown)
      throw new FormatError(
        `${what}: tensor ${show(name)} is not in the model; its weights are ${listed([...weights.keys()])}`,
      )
  }
  const values = new Map<Variable, Tensor>()
  for (const [path, weight] of weights) {
    const stored = tensors.get(path)
    const label = `${what}: weight ${show(path)}`
    if (stored === undefined) throw new FormatError(`${label}: is missing in the file`)
    if (!sameShape(stored.shape, weight.shape) || dtypeOf(stored.dtype) !== weight.dtype)
      throw new FormatError(
        `${label}: the file has ${dtypeOf(stored.dtype)} of ${formatShape(stored.shape)}, the model ${weight.dtype} of ${formatShape(weight.shape)}`,
      )
    if (finiteOnly && isFloat(weight.dtype)) checkFinite(label, valuesOf(label, stored))
    values.set(weight, tensorOf(label, stored))
  }
  return () => {
    for (const [weight, value] of values) weight.assign(value)
  }
}

function isBelow(text: string, limit: number): boolean {
  return /^(?:0|[1-9]\d{0,8})$/.test(text) && Number(text) < limit
}

export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => show(name))
  return shown.length < names.length ? `${shown.join(', ')}, …` : shown.join(', ') || 'none'
}

function checkFinite(label: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i])) throw new NonFiniteError(`${label}: holds ${values[i]} at index ${i}`)
}

export function restorersOf(what: string, { metadata }: Contents, { layers }: Paths): () => void {
  const text = metadata.get('state')
  if (text === undefined) return () => undefined
  const label = `${what}: state`
  const restorers = listOf(label, parseJson(label, text, MOST_DEPTH), layers.size).map((pair) => {
    const [path, state] = listOf(label, pair, 2)
    const layer = layers.get(textOf(label, path))
    if (layer === undefined) throw new FormatError(`${label}: layer ${show(path)} is not in the model`)
    return asFormatError(label, () => layer.restorer(decodeValue(label, state ?? null)))
  })
  return () => {
    for (const restore of restorers) restore()
  }
}
