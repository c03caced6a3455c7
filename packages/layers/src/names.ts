import { ValueError } from '@adjoint/core'
import { didYouMean, show } from '@adjoint/core/extend'

/** `binary_crossentropy` as `binaryCrossentropy`. */
export type CamelCase<S extends string> = S extends `${infer A}_${infer B}`
  ? `${A}${Capitalize<CamelCase<B>>}`
  : S

/** A name in Keras' spelling or in camel case. */
export type Spelling<S extends string> = S | CamelCase<S>

/** What a name was found to mean. */
export interface Named<T> {
  /** The name in Keras' spelling: as given, but for camel case. */
  readonly name: string
  readonly value: T
}

/** Things known by Keras' names. Each is found under its camel case too. */
export class Names<T> {
  readonly #list: readonly string[]
  readonly #found = new Map<string, Named<T>>()
  readonly #nameOf = new Map<T, string>()

  /**
   * @param what the names stand for, in messages: `loss`.
   * @param others what may be given instead of a name, in messages: `a function`.
   */
  constructor(
    readonly what: string,
    readonly others: string,
    named: Readonly<Record<string, T>>,
    aliases: Readonly<Record<string, string>> = {},
  ) {
    this.#list = Object.keys(named)
    for (const name of this.#list) {
      this.#add(name, named[name]!)
      if (!this.#nameOf.has(named[name]!)) this.#nameOf.set(named[name]!, name)
    }
    for (const alias of Object.keys(aliases)) this.#add(alias, named[aliases[alias]!]!)
  }

  #add(name: string, value: T): void {
    const found = { name, value }
    this.#found.set(name, found)
    this.#found.set(camelCase(name), found)
  }

  /** @throws ValueError for anything that is not one of the names. */
  get(name: unknown): Named<T> {
    const found = typeof name === 'string' ? this.#found.get(name) : undefined
    if (found !== undefined) return found
    if (typeof name !== 'string')
      throw new ValueError(`${this.what}: expected a name or ${this.others}, got ${show(name)}`)
    throw new ValueError(
      `${this.what} ${show(name)} is unknown; known are ${this.#list.join(', ')}.${didYouMean(name, this.#list)}`,
    )
  }

  /** The first name of `value`, if it is one of the things named. */
  nameOf(value: T): string | undefined {
    return this.#nameOf.get(value)
  }
}

/**
 * The function that a layer was given: by Keras' name, also in camel case, or as itself.
 * @param makers what makes such functions, by the names that users know.
 * @throws ValueError for an unknown name, with the nearest one, and for a maker that was not called.
 */
export function functionOf<F>(names: Names<() => F>, makers: object, spec: unknown): F {
  if (typeof spec !== 'function') return names.get(spec).value()
  if (Object.values(makers).includes(spec))
    throw new ValueError(`${names.what}: got the function ${spec.name}; call it: ${spec.name}()`)
  // What a user's function returns is checked where it is used.
  return spec as F
}

/** `binary_crossentropy` as `binaryCrossentropy`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
