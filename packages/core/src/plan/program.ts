import type { Aval } from '../aval.js'
import type { Kernel } from '../backend.js'
import type { HostArray } from '../dtype.js'
import { formatShape } from '../shape.js'
import type { Tensor, Variable } from '../tensor.js'
import { exactNumber } from './exact.js'

/** A number for each value of a program. */
export type ValueId = number

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'variable'; readonly variable: Variable }
  /** With a slot: one number that is another in every run. */
  | { readonly kind: 'constant'; readonly values: HostArray; readonly slot?: number }
  /** Made on the host for every run: random numbers. */
  | { readonly kind: 'drawn'; readonly make: () => HostArray }
  | {
      readonly kind: 'kernel'
      readonly kernel: Kernel
      readonly inputs: readonly ValueId[]
      /** Of an elementwise kernel whose parameters are others in every run: which numbers they are. */
      readonly slots?: readonly number[]
    }

/** A check of values that has to pass before anything is kept. */
export interface Check {
  readonly value: ValueId
  /** Values must be whole numbers in [0, limit). */
  readonly limit: number
  readonly fail: (value: number, at: number) => Error
}

/** What a function did with its arguments and variables: kernels in the order in which they ran. */
export interface Program {
  readonly values: readonly (Aval & { readonly source: Source })[]
  readonly checks: readonly Check[]
  /** What the function returned. */
  readonly results: readonly ValueId[]
  /** Variables that got another value, and which. */
  readonly assigned: readonly { readonly variable: Variable; readonly value: ValueId }[]
  /** How many numbers are given to every run. */
  readonly slotCount: number
}

/** A program that a backend runs, on arguments of the same shapes each time. */
export interface Replay {
  /** Runs what results need. Nothing outside has changed afterwards. */
  compute(args: readonly Tensor[]): void
  /** What the program returns at one place, as a tensor of its own. After {@link compute}, before {@link commit}. */
  result(at: number): Tensor
  /** The only values of the first so many results: at once where the backend can. */
  numbers(count: number): readonly number[] | Promise<readonly number[]>
  /**
   * Has the same numbers kept, to be read when somebody asks, after the change too. After {@link compute}, before
   * {@link commit}. Only where reading takes time.
   */
  later?(count: number): Later
  /** Gives variables their new values. @param numbers those that are others in every run. */
  commit(numbers?: ArrayLike<number>): void
  /** What runs, and what runs as one. */
  toString(): string
}

/** Numbers that a device keeps until they are read, once. */
export interface Later {
  read(): Promise<readonly number[]>
}

export function inputsOf(source: Source): readonly ValueId[] {
  return source.kind === 'kernel' ? source.inputs : []
}

/** The value whose elements a view, or a view of a view, has; another value itself. */
export function rootOf(program: Program, id: ValueId): ValueId {
  const { source } = program.values[id]!
  return source.kind === 'kernel' && source.kernel.kind === 'view' ? rootOf(program, source.inputs[0]!) : id
}

/** 1 for what results and checks are computed from. */
export function neededForResults({ values, results, checks }: Program): Uint8Array {
  const needed = new Uint8Array(values.length)
  for (const id of [...results, ...checks.map(({ value }) => value)]) needed[id] = 1
  for (let id = values.length - 1; id >= 0; id--)
    if (needed[id] === 1) for (const input of inputsOf(values[id]!.source)) needed[input] = 1
  return needed
}

/** A kernel without its operands, for people: `matmul(transposeB)`, `max(x, 0)`. */
function formatKernel(kernel: Kernel): string {
  if (kernel.kind === 'map') {
    const { fn, params } = kernel
    return fn.params.length === 0
      ? fn.source
      : `${fn.source} with ${fn.params.map((name, i) => `${name} = ${params[i]}`).join(', ')}`
  }
  const details = Object.entries(kernel)
    .filter(([key, value]) => key !== 'kind' && value !== false && value !== undefined)
    .map(([key, value]) =>
      value === true
        ? key
        : `${key} ${typeof value === 'number' ? exactNumber(value) : JSON.stringify(value)}`,
    )
  return details.length === 0 ? kernel.kind : `${kernel.kind}(${details.join(', ')})`
}

/** A value as text: `%4: float32 [32, 64] = max(x, 0) of %3`. */
export function formatValue({ values }: Program, id: ValueId): string {
  const { source, dtype, shape } = values[id]!
  return `%${id}: ${dtype} ${formatShape(shape)} = ${formatSource(source)}`
}

function formatSource(source: Source): string {
  switch (source.kind) {
    case 'argument':
      return `argument ${source.index}`
    case 'variable':
      return formatVariable(source.variable)
    case 'constant':
      return source.values.length === 1 ? `constant ${source.values[0]}` : 'constant'
    case 'drawn':
      return 'random numbers'
    case 'kernel':
      return `${formatKernel(source.kernel)} of ${source.inputs.map((id) => `%${id}`).join(', ')}`
  }
}

export function formatVariable({ name }: Variable): string {
  return name === '' ? 'a variable' : `variable ${name}`
}
