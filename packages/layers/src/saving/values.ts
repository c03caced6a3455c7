import { FormatError, Tensor, ValueError } from '@adjoint/core'
import { isRecord, show, typeName } from '@adjoint/core/extend'
import { constraints } from '../constraints.js'
import { initializers } from '../initializers.js'
import { losses, lossName } from '../losses.js'
import { metrics, originOf } from '../metrics.js'
import { regularizers } from '../regularizers.js'
import { schedules } from '../schedules.js'
import { isJsonList, isJsonRecord, isReservedKey, type Json, listOf, recordOf, textOf } from './json.js'
import { functionName, functionNamed } from './registry.js'

// Values of configs as JSON. What JSON lacks is a record with one key that begins with $: numbers such as -0 and NaN,
// functions by their registered names; initializers, regularizers, constraints, schedules, losses and metrics by theirs with their options.

const SPECIAL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['-0', -0],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
])
const MOST_DEPTH = 100

/**
 * A config's value as JSON.
 * @throws ValueError for what cannot be saved; for a function, with the line to add.
 */
export function encodeValue(what: string, value: unknown, depth: number = 0): Json {
  if (depth > MOST_DEPTH) throw new ValueError(`${what}: nested more than ${MOST_DEPTH} levels deep`)
  switch (typeof value) {
    case 'string':
      return wellFormed(what, value)
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'function':
      return encodeFunction(what, value as (...args: never[]) => unknown, depth)
    case 'object':
      break
    default:
      throw new ValueError(`${what}: cannot save ${show(value)}`)
  }
  if (value === null) return null
  if (Array.isArray(value)) return value.map((x, i) => encodeValue(`${what}[${i}]`, x ?? null, depth + 1))
  const origin = originOf(value)
  if (origin !== undefined)
    return { $metric: [origin.name, ...origin.args.map((x) => encodeValue(what, x ?? null, depth + 1))] }
  if (!isRecord(value) || value instanceof Tensor)
    throw new ValueError(`${what}: cannot save ${typeName(value)}; a config may hold what JSON can hold`)
  const out = Object.create(null) as Record<string, Json>
  for (const [key, x] of Object.entries(value)) {
    if (isReservedKey(key) || key.startsWith('$'))
      throw new ValueError(`${what}: cannot save the key ${show(key)}; it is reserved`)
    if (x !== undefined) out[wellFormed(what, key)] = encodeValue(`${what}: ${show(key)}`, x, depth + 1)
  }
  return out
}

/** @throws ValueError for text that UTF-8 cannot hold. */
export function wellFormed(what: string, text: string): string {
  if (/\p{Surrogate}/u.test(text))
    throw new ValueError(`${what}: the text ${show(text)} holds half a surrogate pair and cannot be saved`)
  return text
}

function encodeFunction(what: string, fn: (...args: never[]) => unknown, depth: number): Json {
  const name = functionName(fn)
  if (name !== undefined) return { $function: name }
  const loss = lossName(fn)
  if (loss !== undefined) return loss
  const config = Object.hasOwn(fn, 'config') ? (fn as { config?: unknown }).config : undefined
  const kind = isRecord(config) ? kindOf(config['name']) : undefined
  if (kind !== undefined) return { [kind]: encodeValue(what, config, depth + 1) }
  const own = fn.name === '' ? 'myFunction' : fn.name
  throw new ValueError(
    `${what}: is a function, and files hold no code; add registerFunction(${show(own)}, ${own})`,
  )
}

type Maker = (options: Record<string, unknown>) => unknown
/** What makes functions by Keras' names, of the options that their configs tell. */
const makers: Readonly<
  Record<'$initializer' | '$regularizer' | '$constraint' | '$schedule' | '$loss', ReadonlyMap<string, Maker>>
> = {
  $initializer: new Map([
    ...snakeNamed(initializers),
    // A constant is given by its value alone.
    ['constant', ({ value }) => initializers.constant(value as number)],
  ]),
  $regularizer: new Map<string, Maker>([
    ['l1', ({ l1 }) => regularizers.l1(l1 as number)],
    ['l2', ({ l2 }) => regularizers.l2(l2 as number)],
    ['l1_l2', (options) => regularizers.l1L2(options)],
    ['orthogonal_regularizer', (options) => regularizers.orthogonal(options)],
  ]),
  $constraint: new Map(snakeNamed(constraints)),
  $schedule: new Map(snakeNamed(schedules)),
  $loss: new Map(snakeNamed(losses)),
}
const kinds = Object.keys(makers) as (keyof typeof makers)[]

function snakeNamed(factories: object): [string, Maker][] {
  return (Object.entries(factories) as [string, Maker][]).map(([name, make]) => [
    name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
    make,
  ])
}

/** What a name in a config is that of. */
function kindOf(name: unknown): keyof typeof makers | undefined {
  return typeof name === 'string' ? kinds.find((kind) => makers[kind].has(name)) : undefined
}
const metricMakers: ReadonlyMap<string, (...args: unknown[]) => unknown> = new Map(
  Object.entries(metrics) as unknown as [string, (...args: unknown[]) => unknown][],
)

/** The value that {@link encodeValue} wrote. @throws FormatError for what it never writes. */
export function decodeValue(what: string, json: Json): unknown {
  if (isJsonList(json)) return json.map((x) => decodeValue(what, x))
  if (!isJsonRecord(json)) return json
  const [key] = Object.keys(json)
  if (key?.startsWith('$') === true) return decodeSpecial(what, key, recordOf(what, json, [key])[key]!)
  const out = Object.create(null) as Record<string, unknown>
  for (const name of Object.keys(json)) {
    if (name.startsWith('$')) throw new FormatError(`${what}: the key ${show(name)} is reserved`)
    out[name] = decodeValue(`${what}: ${show(name)}`, json[name]!)
  }
  return out
}

function decodeSpecial(what: string, key: string, value: Json): unknown {
  switch (key) {
    case '$number': {
      const number = SPECIAL_NUMBERS.get(textOf(what, value))
      if (number === undefined) throw new FormatError(`${what}: unknown number ${show(value)}`)
      return number
    }
    case '$function':
      return functionNamed(what, textOf(what, value))
    case '$initializer':
    case '$regularizer':
    case '$constraint':
    case '$schedule':
    case '$loss': {
      const kind = key.slice(1)
      if (!isJsonRecord(value)) throw new FormatError(`${what}: ${kind} must be a record`)
      const { name, ...options } = value
      const make = makers[key].get(textOf(`${what}: ${kind}`, name))
      if (make === undefined) throw new FormatError(`${what}: unknown ${kind} ${show(name)}`)
      return make(decodeValue(what, options) as Record<string, unknown>)
    }
    case '$metric': {
      const [name, ...args] = listOf(what, value, 4)
      const make = metricMakers.get(textOf(`${what}: metric`, name))
      if (make === undefined) throw new FormatError(`${what}: unknown metric ${show(name)}`)
      return make(...args.map((x) => decodeValue(what, x) ?? undefined))
    }
    default:
      throw new FormatError(`${what}: the key ${show(key)} is reserved`)
  }
}
