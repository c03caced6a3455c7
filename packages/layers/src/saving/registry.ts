import { FormatError, ValueError } from '@adjoint/core'
import { didYouMean, show } from '@adjoint/core/extend'
import { LayerBase } from '../layer.js'
import { checkName } from '../naming.js'

/** A class that makes a layer of its config. */
export interface LayerClass {
  // Classes differ in what their constructors take; what is given is the layer's own config.
  // oxlint-disable-next-line typescript/no-explicit-any
  new (config: any): LayerBase
  /** Makes a layer of what its `getConfig` told; the constructor does so otherwise. */
  // oxlint-disable-next-line typescript/no-explicit-any
  fromConfig?(config: any): LayerBase
}
/** A function that a config may hold: an activation, an initializer, a lambda's, a loss. */
// oxlint-disable-next-line typescript/no-explicit-any -- any function may be
export type SavedFunction = (...args: any[]) => unknown

/** Things by name and names by thing; names are looked up in Maps only. */
class Registry<T extends object> {
  readonly #byName = new Map<string, T>()
  readonly #names = new Map<object, string>()

  constructor(readonly what: string) {}

  add(name: string, value: T): void {
    const other = this.#byName.get(name)
    if (other !== undefined && other !== value)
      throw new ValueError(`${this.what}: ${show(name)} is registered already, for something else`)
    const before = this.#names.get(value)
    if (before !== undefined && before !== name)
      throw new ValueError(`${this.what}: this is registered already, as ${show(before)}`)
    this.#byName.set(name, value)
    this.#names.set(value, name)
  }

  get(name: string): T | undefined {
    return this.#byName.get(name)
  }

  nameOf(value: object): string | undefined {
    return this.#names.get(value)
  }

  get all(): readonly string[] {
    return [...this.#byName.keys()]
  }
}

const classes = new Registry<LayerClass>('registerLayer')
const functions = new Registry<SavedFunction>('registerFunction')
/** Class names that stand for something else in a file. */
const TAKEN: ReadonlySet<string> = new Set(['InputLayer', 'Functional', 'Sequential', 'Op', 'Shared'])

/**
 * Makes a layer class of your own known by a name, so that models with it can be saved and loaded. It is made again
 * by `new Class(config)`, or by its static `fromConfig(config)`, of what its `getConfig()` told.
 * @throws ValueError where the name stands for another class.
 * @example registerLayer('Scale', Scale)
 */
export function registerLayer(name: string, layerClass: LayerClass): void {
  checkName('registerLayer', name)
  if (typeof layerClass !== 'function' || !(layerClass.prototype instanceof LayerBase))
    throw new ValueError(`registerLayer: ${show(name)} must be a class of layers, got ${show(layerClass)}`)
  if (TAKEN.has(name)) throw new ValueError(`registerLayer: ${show(name)} is a class of this package`)
  classes.add(name, layerClass)
}

/** Classes whose code is this package's. */
const ours = new Set<unknown>()

/** As {@link registerLayer}, for this package's own. */
export function registerOwn(name: string, layerClass: LayerClass): void {
  registerLayer(name, layerClass)
  ours.add(layerClass)
}

/** Counts classes that files do not name as this package's own too. */
export function markOwn(...layerClasses: readonly unknown[]): void {
  for (const layerClass of layerClasses) ours.add(layerClass)
}

/** Whether a layer's code is this package's; that of a lambda is its user's. */
export function isOfThisPackage(layer: LayerBase): boolean {
  return ours.has(layer.constructor) && layer.className !== 'Lambda'
}

/**
 * Makes a function known by a name, so that models with it can be saved and loaded: an activation, an initializer,
 * the function of a lambda, a loss, a schedule. Files hold the name only, never code.
 * @throws ValueError where the name stands for another function.
 * @example registerFunction('cube', cube)
 */
export function registerFunction(name: string, fn: SavedFunction): void {
  checkName('registerFunction', name)
  if (typeof fn !== 'function' || (fn as unknown) instanceof LayerBase)
    throw new ValueError(`registerFunction: ${show(name)} must be a function, got ${show(fn)}`)
  functions.add(name, fn)
}

/** The name under which a layer's class is saved. @throws ValueError with the line to add. */
export function classNameOf(what: string, layer: LayerBase): string {
  const name = classes.nameOf(layer.constructor)
  if (name !== undefined) return name
  const own = layer.constructor.name
  throw new ValueError(
    `${what}: ${layer.label} is of a class that is not registered; add registerLayer(${show(own)}, ${own})`,
  )
}

/** @throws FormatError for an unknown class, with the line to add. */
export function classNamed(what: string, name: string): LayerClass {
  const found = classes.get(name)
  if (found !== undefined) return found
  const id = /^[A-Za-z_$][\w$]{0,60}$/.test(name) ? name : 'YourClass'
  throw new FormatError(
    `${what}: unknown layer class ${show(name)}.${didYouMean(name, [...classes.all, ...TAKEN])} ` +
      `For a class of your own, add registerLayer(${show(name)}, ${id}) before loading`,
  )
}

export function functionName(fn: object): string | undefined {
  return functions.nameOf(fn)
}

/** @throws FormatError for an unknown function, with the line to add. */
export function functionNamed(what: string, name: string): SavedFunction {
  const found = functions.get(name)
  if (found !== undefined) return found
  const id = /^[A-Za-z_$][\w$]{0,60}$/.test(name) ? name : 'yourFunction'
  throw new FormatError(
    `${what}: unknown function ${show(name)}.${didYouMean(name, functions.all)} ` +
      `Files hold no code; add registerFunction(${show(name)}, ${id}) before loading`,
  )
}

const modelKinds = new Map<object, 'Functional' | 'Sequential'>()

/** Tells which classes are models. They come to be after what saves them. */
export function registerModel(modelClass: object, kind: 'Functional' | 'Sequential'): void {
  modelKinds.set(modelClass, kind)
}

export function modelKindOf(layer: LayerBase): 'Functional' | 'Sequential' | undefined {
  return modelKinds.get(layer.constructor)
}
