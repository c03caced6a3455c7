/**
 * A class whose instances are functions: `new Dense(4)(x)`. The constructor returns a function whose prototype is
 * the class's, so that `instanceof`, private fields, getters and methods work as on any object.
 */
export abstract class Callable {
  /** Runs when an instance is called. @internal */
  abstract invoke(args: readonly unknown[]): unknown

  constructor() {
    const self = function (...args: unknown[]): unknown {
      return (self as unknown as Callable).invoke(args)
    }
    // A function's own name and length would hide the class's.
    delete (self as { name?: string }).name
    delete (self as { length?: number }).length
    Object.setPrototypeOf(self, new.target.prototype)
    // The fields of derived classes are put on what the constructor returns.
    // oxlint-disable-next-line no-constructor-return
    return self as unknown as this
  }
}
