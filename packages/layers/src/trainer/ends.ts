import { DataError, ValueError } from '@adjoint/core'
import { didYouMean, formatPath, isRecord, mapTree, show, typeName } from '@adjoint/core/extend'
import { keyOf } from '../graph.js'
import { Embedding } from '../layers/embedding.js'
import type { Model } from '../model.js'
import { firstFree } from '../naming.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym, SymTree } from '../types.js'
import { isColumnData, isShapedData } from './columns.js'

/** One input or output of a model under the key that data, losses and history use for it. */
export interface End {
  readonly key: string
  /** The key as messages show it. */
  readonly shown: string
  readonly tensor: Sym.Any
  /** The table that looks this input's ids up, if one does so directly. */
  readonly ids?: { readonly table: string; readonly count: number }
}

/**
 * All inputs, or all outputs. The keys of records are the keys, joined to paths where they are nested (`item[0]`,
 * `user.age`). In a list, or alone, a tensor goes by its name; one that is listed twice gets `_1` behind it.
 */
export interface Ends {
  readonly kind: 'input' | 'output'
  readonly tree: unknown
  readonly list: readonly End[]
  readonly keys: readonly string[]
}

export function endsOf(model: Model, kind: 'input' | 'output'): Ends {
  const tree: unknown = kind === 'input' ? model.inputs : model.outputs
  const list: End[] = []
  const taken = new Set<string>()
  mapTree<Sym.Any, Sym.Any>(tree as SymTree, isSymbolic, (tensor, path) => {
    const wanted = isRecord(tree)
      ? formatPath(String(path[0]), path.slice(1))
      : (tensor.ownName ?? model.nameOf(tensor.node.layer))
    const key = firstFree(wanted, taken)
    taken.add(key)
    const ids = kind === 'input' ? idsOf(model, tensor) : undefined
    list.push({ key, shown: show(key), tensor, ...(ids !== undefined && { ids }) })
    return tensor
  })
  return { kind, tree, list, keys: list.map((end) => end.key) }
}

/** The smallest of the embeddings that are called on an input itself. */
function idsOf(model: Model, tensor: Sym.Any): End['ids'] {
  let smallest: End['ids']
  for (const { layer, inputs } of model.graph.nodes)
    if (
      layer instanceof Embedding &&
      keyOf(inputs[0]!) === keyOf(tensor) &&
      layer.inputDim < (smallest?.count ?? Infinity)
    )
      smallest = { table: `${model.nameOf(layer)} (${layer.className})`, count: layer.inputDim }
  return smallest
}

const isNothing = (value: unknown): boolean => value === undefined || value === null

/**
 * The data for each end, in order: given in the model's structure, or by the tensors' names for a list or a single
 * tensor. `isOptional` tells where none may be given.
 * @throws DataError for missing, unexpected and misspelt keys and for lists of another length.
 */
export function spreadFeed(
  op: string,
  ends: Ends,
  feed: unknown,
  isOptional: (index: number) => boolean = () => false,
): unknown[] {
  const { tree, keys } = ends
  const byName = isRecord(feed) && !isData(feed, keys) && (isSymbolic(tree) || Array.isArray(tree))
  const values = new Array<unknown>(keys.length)
  if (isNothing(feed) && keys.every((_, i) => isOptional(i))) return values.fill(undefined)
  if (byName) {
    checkKeys(op, ends, '', feed, keys, isOptional)
    keys.forEach((key, i) => (values[i] = own(feed, key)))
    return values
  }
  let next = 0
  const walk = (node: unknown, value: unknown, path: string): void => {
    if (isSymbolic(node)) {
      if (isNothing(value) && !isOptional(next)) throw missing(op, ends, keys[next]!)
      if (isRecord(value) && !isData(value, [])) throw notAnArray(op, ends, keys[next]!, value)
      values[next++] = value
    } else if (Array.isArray(node)) {
      checkList(op, ends, path, node.length, value)
      node.forEach((child, i) => walk(child, (value as unknown[])[i], `${path}[${i}]`))
    } else {
      const record = node as Record<string, unknown>
      if (!isRecord(value)) throw notARecord(op, ends, path, Object.keys(record), value)
      const inner = Object.keys(record)
      const first = new Map<string, number>()
      let at = next
      for (const key of inner) {
        first.set(key, at)
        at += leafCount(record[key])
      }
      checkKeys(
        op,
        ends,
        path,
        value,
        inner,
        (i) => isSymbolic(record[inner[i]!]) && isOptional(first.get(inner[i]!)!),
      )
      for (const key of inner) walk(record[key], own(value, key), path === '' ? key : `${path}.${key}`)
    }
  }
  walk(tree, feed, '')
  return values
}

/** Whether a record is itself the data of one end, rather than data by the names of some. */
function isData(value: Readonly<Record<string, unknown>>, keys: readonly string[]): boolean {
  if (keys.includes('data') || keys.includes('toArray')) return false
  return isColumnData(value) || isShapedData(value)
}

function own(record: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/** How messages call an end: inputs are fed, outputs have targets. */
export function nounOf({ kind }: Ends): string {
  return kind === 'input' ? 'input' : 'target'
}

function checkKeys(
  op: string,
  ends: Ends,
  path: string,
  given: Readonly<Record<string, unknown>>,
  expected: readonly string[],
  isOptional: (index: number) => boolean,
): void {
  const got = Object.keys(given)
  const at = path === '' ? '' : ` of ${show(path)}`
  const lacking = expected.find((key, i) => isNothing(own(given, key)) && !isOptional(i))
  if (lacking !== undefined) {
    const near = suggestion(
      lacking,
      got.filter((key) => !expected.includes(key)),
    )
    throw new DataError(
      `${op}: no data for ${nounOf(ends)} ${show(lacking)}${at}; got keys ${listed(got)}, expected ${listed(expected)}.${near}`,
    )
  }
  const extra = got.find((key) => !expected.includes(key))
  if (extra !== undefined)
    throw new DataError(
      `${op}: unexpected ${nounOf(ends)} ${show(extra)}${at}; expected ${listed(expected)}.${didYouMean(extra, expected)}`,
    )
}

/** The wanted key as what one of the given ones may have been meant for. */
function suggestion(wanted: string, given: readonly string[]): string {
  return given.map((key) => didYouMean(key, [wanted])).find((text) => text !== '') ?? ''
}

function listed(keys: readonly string[]): string {
  const shown = keys.length > 12 ? [...keys.slice(0, 12), '…'] : keys
  return shown.length === 0
    ? '(none)'
    : shown.map((key) => (/^[\w.[\]-]{1,40}$/.test(key) ? key : show(key))).join(', ')
}

function missing(op: string, ends: Ends, key: string): DataError {
  return new DataError(`${op}: no data for ${nounOf(ends)} ${show(key)}`)
}

function notAnArray(op: string, ends: Ends, key: string, value: unknown): DataError {
  return new DataError(
    `${op}: ${nounOf(ends)} ${show(key)} must be an array or a tensor, got ${typeName(value)} with keys ${listed(Object.keys(value as object))}`,
  )
}

function checkList(op: string, ends: Ends, path: string, length: number, value: unknown): void {
  if (Array.isArray(value) && value.length === length) return
  const expected = `a list of ${length}${path === '' ? ` (${listed(ends.keys)})` : ''}`
  const got = Array.isArray(value) ? `a list of ${value.length}` : typeName(value)
  throw new DataError(
    `${op}: ${nounOf(ends)}s${path === '' ? '' : ` ${show(path)}`}: expected ${expected}, got ${got}` +
      (path === '' ? '; give one array for each, or a record by name' : ''),
  )
}

function notARecord(
  op: string,
  ends: Ends,
  path: string,
  keys: readonly string[],
  value: unknown,
): DataError {
  return new DataError(
    `${op}: ${nounOf(ends)}s${path === '' ? '' : ` ${show(path)}`}: expected a record with keys ${listed(keys)}, got ${typeName(value)}`,
  )
}

/**
 * An option given for each output: one value (for all), a list in the outputs' order, a record by key, or the outputs'
 * own nested structure. null stands for none.
 * @param isValue what counts as one value.
 * @throws ValueError for another number of values and for unknown keys, with the nearest one.
 */
export function spreadOption<V>(
  what: string,
  ends: Ends,
  option: unknown,
  isValue: (value: unknown) => value is V,
): (V | undefined)[] {
  const { tree, keys } = ends
  const values = new Array<V | undefined>(keys.length).fill(undefined)
  let next = 0
  const walk = (node: unknown, value: unknown): void => {
    if (isNothing(value) || isValue(value)) {
      for (let count = leafCount(node); count > 0; count--)
        values[next++] = (value ?? undefined) as V | undefined
    } else if (Array.isArray(node) && Array.isArray(value)) {
      if (value.length !== node.length) throw wrongCount(what, keys, value.length)
      node.forEach((child, i) => walk(child, value[i]))
    } else if (isRecord(node) && isRecord(value)) {
      const inner = Object.keys(node)
      checkOptionKeys(what, value, inner)
      for (const key of inner) walk(node[key], own(value, key))
    } else if (isSymbolic(node) && Array.isArray(value) && value.length === 1) {
      walk(node, value[0])
    } else {
      throw Array.isArray(value) && keys.length !== value.length
        ? wrongCount(what, keys, value.length)
        : new ValueError(
            `${what}: expected a value for each output (${listed(keys)}), got ${show(value)}` +
              (isRecord(node) ? `; give a record with keys ${listed(Object.keys(node))}` : ''),
          )
    }
  }
  if (isRecord(option) && !isValue(option) && !isRecord(tree)) {
    checkOptionKeys(what, option, keys)
    return keys.map((key) => {
      const value = own(option, key)
      if (isNothing(value)) return undefined
      if (isValue(value)) return value
      throw new ValueError(`${what}: output ${show(key)}: cannot use ${show(value)}`)
    })
  }
  walk(tree, option)
  return values
}

function leafCount(node: unknown): number {
  if (isSymbolic(node)) return 1
  return Object.values(node as object).reduce((n: number, child) => n + leafCount(child), 0)
}

function checkOptionKeys(
  what: string,
  given: Readonly<Record<string, unknown>>,
  expected: readonly string[],
): void {
  const extra = Object.keys(given).find((key) => !expected.includes(key))
  if (extra !== undefined)
    throw new ValueError(
      `${what}: there is no output ${show(extra)}; outputs are ${listed(expected)}.${didYouMean(extra, expected)}`,
    )
}

function wrongCount(what: string, keys: readonly string[], count: number): ValueError {
  return new ValueError(`${what}: ${count} given for ${keys.length} outputs (${listed(keys)})`)
}
