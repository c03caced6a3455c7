import type { FunctionSource } from '../wasm/encoder.js'
import { buildModule, type Compiled, instantiate } from '../wasm/host.js'
import { isShared, planMemory } from './heap.js'

// The functions that do the stages of plans on one thread. They are given addresses and sizes, so that all stages of one
// kind share one, in plans for other batches too: it is written and compiled once, and fast the sooner for it.

/** A function that several plans may use. */
export interface CommonFunction {
  /** Equal for functions that do the same. */
  readonly key: string
  /** What one plan calls it. */
  readonly name: string
  readonly source: () => FunctionSource
}

const known = new Map<string, WeakRef<Compiled>>()
const gone = new FinalizationRegistry<string>((key) => {
  if (known.get(key)?.deref() === undefined) known.delete(key)
})

/** The functions by their names; those that are not there yet are compiled. They stay as long as somebody holds them. */
export function functionsOf(wanted: readonly CommonFunction[]): Readonly<Record<string, Compiled>> {
  const found: Record<string, Compiled> = {}
  const missing: CommonFunction[] = []
  for (const one of wanted) {
    const f = known.get(one.key)?.deref()
    if (f === undefined) missing.push(one)
    else found[one.name] = f
  }
  if (missing.length === 0) return found
  const functions = missing.map(({ source }) => source())
  const made = instantiate(buildModule({ functions, sharedMemory: isShared }), planMemory)
  for (const { key, name } of missing) {
    const f = (found[name] = made[name]!)
    known.set(key, new WeakRef(f))
    gone.register(f, key)
  }
  return found
}
