import { parse } from './parse.js'
import type { Expr } from './tree.js'

/** A function of scalars, written as a formula of its arguments and parameters. Parsed when first needed. */
export class ScalarFunction {
  #body: Expr | undefined

  constructor(
    readonly source: string,
    readonly args: readonly string[],
    readonly params: readonly string[],
  ) {}

  get body(): Expr {
    return (this.#body ??= parse(this.source, this.args, this.params))
  }

  toString(): string {
    return this.source
  }
}
