/** The method that runs when an instance is called. */
export const CALL: unique symbol = Symbol('call')

/**
 * A class whose instances are functions: `new Dense(4)(x)`. The constructor returns a function whose prototype is
 * the class's, so that `instanceof`, private fields, getters and methods work as on any object.
 */
export abstract class Callable {
  abstract [CALL](...args: unknown[]): unknown

  constructor() {
    const self = function (...args: unknown[]): unknown {
      return (self as unknown as Callable)[CALL](...args)
    }
    // A function's own name and length would hide the class's.
    delete (self as { name?: string }).name
    delete (self as { length?: number }).length
    Object.setPrototypeOf(self, new.target.prototype as object)
    // The fields of derived classes are put on what the constructor returns.
    return self as unknown as this
  }
}
