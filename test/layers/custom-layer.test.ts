import {
  type CallContext,
  dense,
  Dense,
  input,
  Layer,
  type LayerBase,
  model,
  random,
  setSeed,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
  type Variable,
} from '@adjoint/layers'
import { randomState } from '@adjoint/core/extend'
import { describe, expect, it } from 'vitest'

class Scale extends Layer {
  readonly #k = this.addWeight('k', [1], { initializer: 'ones' })

  override call(x: Tensor): Tensor {
    return x.mul(this.#k)
  }
}

class Linear extends Layer {
  #kernel!: Variable
  readonly units: number

  constructor(units: number, options: { name?: string } = {}) {
    super(options)
    this.units = units
  }

  override build(inputShape: Shape): void {
    this.#kernel = this.addWeight('kernel', [inputShape.at(-1)!, this.units])
  }

  override call(x: Tensor): Tensor {
    return x.matmul(this.#kernel)
  }
}

/** Sublayers in a private field, in a public one, and in a list. */
class Block extends Layer {
  readonly #first = dense(4, { activation: 'tanh' })
  readonly second = new Linear(3)
  readonly rest = [dense(2), dense(1)]

  override call(x: Tensor): Tensor {
    return this.rest.reduce((y: Tensor, layer) => layer(y), this.second(this.#first(x)))
  }
}

const x = tensor([
  [1, 2],
  [3, 4],
])

describe('a layer of the user', () => {
  it('has weights in private fields', () => {
    const layer = new Scale({ name: 'scale' })
    expect(layer.weights.map((w) => w.name)).toEqual(['k'])
    layer.setWeights([[3]])
    expect(layer(x).arraySync()).toEqual([
      [3, 6],
      [9, 12],
    ])
    const { grads } = valueAndGrads(() => layer(x).sum(), layer.trainableWeights)
    expect(grads[0]!.arraySync()).toEqual([10])
  })

  it('has its shape inferred', () => {
    const a = input({ shape: [5] })
    const out = new Linear(3)(a)
    expect(out.shape).toEqual([3])
    expect(out.name).toBe('linear')
    const m = model({ inputs: a, outputs: out })
    expect(m.weights.map((w) => w.shape)).toEqual([[5, 3]])
  })

  it('is an object of its class that can be called', () => {
    const layer = new Linear(2, { name: 'projection' })
    expect(layer).toBeInstanceOf(Linear)
    expect(layer).toBeInstanceOf(Layer)
    expect([layer.name, layer.className, layer.label]).toEqual([
      'projection',
      'Linear',
      'projection (Linear)',
    ])
    expect(Object.keys(layer)).toContain('units')
    expect(typeof layer).toBe('function')
  })

  it('may extend a layer of the library', () => {
    class Twice extends Dense<2> {
      override call(t: Tensor): Tensor {
        return super.call(t).mul(2)
      }
    }
    const twice = new Twice({ units: 2, kernelInitializer: 'ones' })
    expect(twice(x).arraySync()).toEqual([
      [6, 6],
      [14, 14],
    ])
    expect(twice.className).toBe('Twice')
  })

  it('is told whether the model is in training, and tells the layers it calls', () => {
    const seen: boolean[] = []
    class Watch extends Layer {
      override call(t: Tensor, { training }: CallContext): Tensor {
        seen.push(training)
        return t
      }
    }
    class Outer extends Layer {
      readonly inner = new Watch()
      override call(t: Tensor): Tensor {
        return this.inner(t)
      }
    }
    const outer = new Outer()
    outer(x, { training: true })
    outer(x)
    const a = input({ shape: [2] })
    const m = model({ inputs: a, outputs: outer(a) })
    seen.length = 0
    m(x, { training: true })
    m(x)
    expect(seen).toEqual([true, false])
  })

  it('merges lists and returns several tensors', () => {
    class Parts extends Layer {
      override call(xs: Tensor | readonly Tensor[]): Tensor {
        const [p, q] = xs as readonly [Tensor, Tensor]
        return [p.add(q), p.sub(q)] as unknown as Tensor
      }
    }
    const a = input({ shape: [2] })
    const [sum, difference] = new Parts()([a, a]) as unknown as [typeof a, typeof a]
    const m = model({ inputs: a, outputs: [sum, difference] })
    expect(m(x).map((t) => t.arraySync())).toEqual([
      [
        [2, 4],
        [6, 8],
      ],
      [
        [0, 0],
        [0, 0],
      ],
    ])
  })

  it('holds a model', () => {
    const a = input({ shape: [2] })
    const encoder = model({ inputs: a, outputs: dense(3)(a) })
    class Uses extends Layer {
      override call(t: Tensor): Tensor {
        return encoder(t)
      }
    }
    const uses = new Uses()
    uses(x)
    expect(uses.weights).toEqual(encoder.weights)
  })
})

describe('sublayers', () => {
  it('are found without being registered', () => {
    const block = new Block()
    expect(block(x).shape).toEqual([2, 1])
    expect(block.sublayers.length).toBe(4)
    expect(new Set(block.weights.map((w) => w.shape.join('x')))).toEqual(
      new Set(['2x4', '4', '4x3', '3x2', '2', '2x1', '1']),
    )
    expect(block.countParams()).toBe(8 + 4 + 12 + 6 + 2 + 2 + 1)
  })

  it('are found while shapes are inferred', () => {
    const block = new Block()
    const a = input({ shape: [2] })
    const m = model({ inputs: a, outputs: block(a) })
    expect(m.weights.length).toBe(7)
    expect(m.trainableVariables.every((w) => w.dataSync().length === w.size)).toBe(true)
  })

  it('are counted once when they are shared', () => {
    const shared = dense(2)
    class Shares extends Layer {
      readonly one = shared
      readonly two = [shared]
      override call(t: Tensor): Tensor {
        return this.two[0]!(this.one(t))
      }
    }
    const layer = new Shares()
    layer(x)
    expect(layer.weights).toEqual(shared.weights)
  })

  it('freeze with the layer that holds them', () => {
    const block = new Block()
    block(x)
    block.trainable = false
    expect(block.trainableWeights).toEqual([])
    expect(block.sublayers.map((layer) => layer.trainable)).toEqual([false, false, false, false])
    block.trainable = true
    block.second.trainable = false
    expect(block.trainableWeights.length).toBe(6)
    expect(block.nonTrainableWeights).toEqual(block.second.weights)
  })
})

describe('what goes wrong in it', () => {
  const a = input({ shape: [2] })
  const throwing = (f: (t: Tensor) => unknown): LayerBase & ((x: unknown) => unknown) => {
    class Odd extends Layer {
      override call(t: Tensor): Tensor {
        return f(t) as Tensor
      }
    }
    return new Odd({ name: 'odd' }) as never
  }

  it('is rethrown with its name, in the message and in the stack', () => {
    const own = new RangeError('own trouble')
    const layer = throwing(() => {
      throw own
    })
    for (const argument of [a, x]) {
      own.message = 'own trouble'
      expect(() => layer(argument)).toThrow(own)
      expect(own.message).toBe('odd (Odd): own trouble')
    }
    expect(throwsWith(() => throwing((t) => t.matmul(tensor([[1]])))(x)).stack).toMatch(/odd \(Odd\): matmul/)
  })

  it('leaves a frozen error alone', () => {
    const frozen: Error = new Error('frozen')
    Object.freeze(frozen)
    expect(() =>
      throwing(() => {
        throw frozen
      })(x),
    ).toThrow(frozen)
  })

  it.each([
    [undefined, 'undefined'],
    [3, 'number'],
    [null, 'null'],
    [Promise.resolve(x), 'Promise'],
  ])('is a result that is no tensor: %s', (result, shown) => {
    for (const argument of [a, x])
      expect(() => throwing(() => result)(argument)).toThrow(
        `odd (Odd): call returned ${shown}, expected a tensor`,
      )
  })

  it('is a class without a call method', () => {
    const Silent = class Silent extends (Layer as unknown as new (options: object) => object) {}
    for (const argument of [a, x]) {
      const layer = new Silent({ name: 'silent' }) as unknown as (argument: unknown) => unknown
      expect(() => layer(argument)).toThrow(
        new ValueError('silent (Silent): its class has no call method; define call(x, context)'),
      )
    }
  })

  it('is a shape that the batch is not in front of, or that depends on it', () => {
    for (const f of [(t: Tensor) => t.sum(), (t: Tensor) => t.transpose(), (t: Tensor) => t.sum(0)])
      expect(() => throwing(f)(a)).toThrow(/odd \(Odd\): the batch \(axis 0\) must stay in front/)
  })

  it('is a shape that data does not keep to', () => {
    let columns = 2
    const layer = throwing((t) => t.slice([0, 0], [-1, columns]))
    const m = model({ inputs: a, outputs: layer(a) as typeof a })
    expect(m(x).shape).toEqual([2, 2])
    columns = 1
    expect(() => m(x)).toThrow(ShapeError)
    expect(() => m(x)).toThrow(/odd \(Odd\): call gave \[2,1\], but \[null,2\] when the graph was built/)
  })

  it('is a value read while there are none', () => {
    expect(() => throwing((t) => tensor([[t.itemSync()]]))(input({ shape: [] }))).toThrow(/odd \(Odd\)/)
    expect(() => throwing((t) => tensor(t.dataSync()))(a)).toThrow(
      /value was read while only shapes are being inferred/,
    )
  })

  it('says null where a side is not known', () => {
    const open = input({ shape: [null, 3] })
    expect(() => throwing((t) => t.add(tensor([1, 2])))(open)).toThrow(
      /cannot broadcast \[null,null,3\] with \[2\]: 3 and 2 differ on axis -1/,
    )
  })

  it('takes back weights that were made, and the random numbers for them', () => {
    let fails = true
    class Sometimes extends Layer {
      readonly inner = dense(3)
      readonly own = this.addWeight('own', [1])
      override build(shape: Shape): void {
        this.addWeight('kernel', [shape.at(-1)!, 2])
      }
      override call(t: Tensor): Tensor {
        const y = this.inner(t)
        if (fails) throw new Error('not yet')
        return y
      }
    }
    setSeed(5)
    const layer = new Sometimes()
    const before = randomState()
    for (const argument of [a, x])
      expect(() => (layer as (x: unknown) => unknown)(argument)).toThrow('not yet')
    expect(randomState()).toEqual(before)
    expect([layer.built, layer.inner.built]).toEqual([false, false])
    expect(layer.weights.map((w) => w.name)).toEqual(['own'])
    fails = false
    const wide = layer(tensor([[1, 2, 3, 4]]))
    expect(wide.shape).toEqual([1, 3])
    expect(layer.weights.map((w) => w.name)).toEqual(['own', 'kernel', 'kernel', 'bias'])
  })

  it('is an initializer that makes another shape, or a weight that is none', () => {
    const making =
      (shape: unknown, initializer: unknown): (() => unknown) =>
      () => {
        class Bad extends Layer {
          override build(): void {
            this.addWeight('w', shape as number[], { initializer: initializer as 'zeros' })
          }
          override call(t: Tensor): Tensor {
            return t
          }
        }
        return new Bad()(x)
      }
    expect(making([2], () => random.uniform([3]))).toThrow(
      /the initializer of "w" made \[3\], expected \[2\]/,
    )
    expect(making([2], () => 3)).toThrow(ShapeError)
    expect(making([-1], 'zeros')).toThrow(/weight "w"/)
    expect(making([2], 'zeroes')).toThrow(/Did you mean "zeros"/)
  })

  it('is a call without anything, with unknown options, or with layers for tensors', () => {
    const layer = new Scale() as unknown as (...args: unknown[]) => unknown
    expect(() => layer()).toThrow(ValueError)
    expect(() => layer([])).toThrow(/called on nothing/)
    expect(() => layer(x, { taining: true })).toThrow(/Did you mean "training"/)
    expect(() => layer(x, { training: 1 })).toThrow(/training must be true or false/)
    expect(() => layer([1, 2])).toThrow(/expected tensors, got number/)
  })
})

function throwsWith(f: () => unknown): Error {
  try {
    f()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
