import type { DType, HostArray, Variable } from '@adjoint/core'
import {
  type Aval,
  cpuBackend,
  type Handle,
  type Program,
  type Stored,
  type ValueId,
} from '@adjoint/core/extend'

// What the host has of a program's values, and what it computes of that: whole numbers, as it does op by op.

type Value = Program['values'][number]
type Kernels = Extract<Value['source'], { kind: 'kernel' }>

/** A value as the host has it. */
export class Known {
  readonly aval: Aval
  #values: HostArray | undefined
  readonly #handle: Handle | undefined

  constructor(aval: Aval, values: HostArray | undefined, handle?: Handle) {
    this.aval = aval
    this.#values = values
    this.#handle = handle
  }

  get values(): HostArray {
    return (this.#values ??= cpuBackend.readSync!(this.#handle!, this.aval))
  }

  /** As the CPU's kernels take it. */
  get stored(): Stored {
    const { shape, dtype } = this.aval
    return { shape, dtype, handle: this.#handle ?? cpuBackend.upload(this.values, this.aval) }
  }
}

export function computed(
  aval: Aval,
  inputs: readonly ValueId[],
  known: ReadonlyMap<ValueId, Known>,
  { kernel }: Kernels,
): Known {
  const stored = inputs.map((input) => known.get(input)!.stored)
  return new Known(aval, undefined, cpuBackend.run(kernel, stored, aval))
}

/** 1 for what the host has, and for what it computes of that. @param isSure of arguments and variables. */
export function knownOf(program: Program, isSure: (id: ValueId) => boolean): Uint8Array {
  const { values, assigned } = program
  const left = new Set<Variable>()
  for (;;) {
    const known = new Uint8Array(values.length)
    values.forEach(({ source, dtype }, id) => {
      const isKnown =
        source.kind === 'drawn' ||
        (isWhole(dtype) &&
          (source.kind === 'constant'
            ? source.slot === undefined
            : source.kind === 'kernel'
              ? source.slots === undefined &&
                source.inputs.every((x) => known[x] && isWhole(values[x]!.dtype))
              : isSure(id) && !(source.kind === 'variable' && left.has(source.variable))))
      known[id] = isKnown ? 1 : 0
    })
    // A variable that the device changes is the device's from the start.
    const others = assigned.filter(
      (change) => !left.has(change.variable) && !isForHost(program, known, change),
    )
    if (others.length === 0) return known
    for (const { variable } of others) left.add(variable)
  }
}

/** Whether the host gives a variable its new value. */
export function isForHost(
  { values }: Program,
  isKnown: Uint8Array,
  { value }: Program['assigned'][number],
): boolean {
  return isKnown[value] === 1 && isWhole(values[value]!.dtype)
}

export function checkRange(host: HostArray, { limit, fail }: Program['checks'][number]): void {
  for (let i = 0; i < host.length; i++) {
    const index = host[i] as number
    if (!(index >= 0 && index < limit && Math.trunc(index) === index)) throw fail(index, i)
  }
}

export function isWhole(dtype: DType): boolean {
  return dtype === 'int32' || dtype === 'uint8' || dtype === 'bool'
}

/** The same program, where whole numbers that follow from constants are constants. */
export function folded(program: Program): Program {
  const values: Value[] = []
  const known = new Map<ValueId, Known>()
  for (const value of program.values) {
    const { source, dtype } = value
    const id = values.length
    const isKnown = source.kind === 'kernel' && source.slots === undefined && isWhole(dtype)
    if (source.kind === 'constant' && source.slot === undefined && isWhole(dtype))
      known.set(id, new Known(value, source.values))
    else if (isKnown && source.inputs.every((input) => known.has(input)))
      known.set(id, computed(value, source.inputs, known, source))
    const host = source.kind === 'kernel' ? known.get(id)?.values : undefined
    values.push(host === undefined ? value : { ...value, source: { kind: 'constant', values: host } })
  }
  return { ...program, values }
}
