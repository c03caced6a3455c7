import {
  add,
  type Dim,
  mul,
  reshape,
  type Shape,
  ShapeError,
  type Tensor,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { checkAxis, formatShape, show } from '@adjoint/core/extend'
import { resolveConstraint } from '../constraints.js'
import { resolveInitializer } from '../initializers.js'
import { described, type SymbolicAval } from '../layer.js'
import { checkFlag, checkNumber, POSITIVE } from '../option-checks.js'
import { resolveRegularizer } from '../regularizers.js'
import type { ConstraintLike, InitializerLike, LayerOptions, RegularizerLike } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** Options of layers that normalize and then give each place of some axes a scale and an offset of its own. */
export interface ScaledOptions<N extends string = string> extends LayerOptions<N> {
  /** Added to variances, so that nothing is divided by 0 (default 1e-3). */
  readonly epsilon?: number
  /** Whether to add a learned offset, beta (default true). */
  readonly center?: boolean
  /** Whether to multiply by a learned factor, gamma (default true). */
  readonly scale?: boolean
  readonly betaInitializer?: InitializerLike
  readonly gammaInitializer?: InitializerLike
  readonly betaRegularizer?: RegularizerLike
  readonly gammaRegularizer?: RegularizerLike
  readonly betaConstraint?: ConstraintLike
  readonly gammaConstraint?: ConstraintLike
}

export const SCALED_OPTIONS: readonly string[] = [
  'epsilon',
  'center',
  'scale',
  'betaInitializer',
  'gammaInitializer',
  'betaRegularizer',
  'gammaRegularizer',
  'betaConstraint',
  'gammaConstraint',
]

/** A layer that has weights for the places of some axes, which are not the batch. */
export abstract class ScaledLayer<N extends string = string> extends SingleInputLayer<N> {
  readonly epsilon: number
  /** As given: negative ones count from the end. */
  protected readonly axes: readonly number[]
  readonly #center: boolean
  readonly #scale: boolean
  readonly #options: Omit<ScaledOptions<N>, keyof LayerOptions>
  #sides: readonly number[] = []
  #gamma: Variable | undefined
  #beta: Variable | undefined

  constructor(options: ScaledOptions<N>, axis: unknown, epsilon: number = 1e-3) {
    super(options)
    const { name: _, trainable: _t, dtype: _d, inputShape: _i, ...own } = options
    this.#options = own
    this.axes = checkAxes(this.label, axis)
    this.epsilon = checkNumber(this.label, 'epsilon', options.epsilon ?? epsilon, POSITIVE)
    this.#center = checkFlag(this.label, 'center', options.center ?? true)
    this.#scale = checkFlag(this.label, 'scale', options.scale ?? true)
    // What is wrong with these is told when the layer is made, not when it is built.
    for (const by of [options.betaInitializer, options.gammaInitializer])
      if (by !== undefined) resolveInitializer(by)
    for (const by of [options.betaRegularizer, options.gammaRegularizer]) resolveRegularizer(by)
    for (const by of [options.betaConstraint, options.gammaConstraint]) resolveConstraint(by)
  }

  /** The axes in a shape with the batch, in order. @throws ValueError for the batch, and for one named twice. */
  protected axesIn(shape: Shape): number[] {
    const axes = this.axes.map((axis) => checkAxis(this.label, axis, shape.length)).toSorted((a, b) => a - b)
    if (axes.includes(0))
      throw new ValueError(`${this.label}: axis 0 of ${formatShape(shape)} is the batch; name another one`)
    if (new Set(axes).size !== axes.length)
      throw new ValueError(
        `${this.label}: axis ${show(this.axes)} names an axis of ${formatShape(shape)} twice`,
      )
    return axes
  }

  override get supportsMasking(): boolean {
    return true
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const sides = this.axesIn(x!.shape).map((axis) => x!.shape[axis] as Dim)
    if (sides.includes(null))
      throw new ShapeError(`${this.label}: axis ${show(this.axes)} of ${described(x!)} must be known`, {
        op: this.name,
        shapes: [x!.shape],
      })
    if (
      this.built &&
      (sides.length !== this.#sides.length || sides.some((side, i) => side !== this.#sides[i]))
    )
      throw new ShapeError(
        `${this.label}: expected ${formatShape(this.#sides)} on axis ${show(this.axes)} (from build), got ${described(x!)}`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  override build(inputShape: Shape): void {
    this.keepSides(inputShape)
    const { gammaInitializer = 'ones', betaInitializer = 'zeros' } = this.#options
    const { gammaRegularizer, gammaConstraint, betaRegularizer, betaConstraint } = this.#options
    if (this.#scale)
      this.#gamma = this.addWeight('gamma', this.#sides, {
        initializer: gammaInitializer,
        regularizer: gammaRegularizer,
        constraint: gammaConstraint,
      })
    if (this.#center)
      this.#beta = this.addWeight('beta', this.#sides, {
        initializer: betaInitializer,
        regularizer: betaRegularizer,
        constraint: betaConstraint,
      })
  }

  /** Remembers the sides of the axes. */
  protected keepSides(inputShape: Shape): void {
    this.#sides = this.axesIn(inputShape).map((axis) => inputShape[axis]!)
  }

  /** The sides of the axes, once it is built. */
  protected get sides(): readonly number[] {
    return this.#sides
  }

  /** A value for each place of the axes, with sides of 1 on all other axes of `x`. */
  protected aligned(value: Tensor, x: Tensor): Tensor {
    const axes = this.axesIn(x.shape)
    // At the end of the shape they broadcast as they are.
    if (axes[0] === x.rank - axes.length) return value
    const shape = x.shape.map(() => 1)
    axes.forEach((axis, i) => (shape[axis] = this.#sides[i]!))
    return reshape(value, shape)
  }

  /** x · gamma + beta */
  protected scaled(x: Tensor): Tensor {
    const gamma = this.#gamma
    const beta = this.#beta
    const product = gamma === undefined ? x : mul(x, this.aligned(gamma, x))
    return beta === undefined ? product : add(product, this.aligned(beta, x))
  }

  override getConfig(): Record<string, unknown> {
    const axis = this.axes.length === 1 ? this.axes[0] : this.axes
    return { ...super.getConfig(), ...this.#options, axis, epsilon: this.epsilon }
  }
}

/** One axis or several, as a list. @throws ValueError for anything else. */
export function checkAxes(what: string, axis: unknown): number[] {
  const axes: readonly unknown[] = Array.isArray(axis) ? axis : [axis]
  if (axes.length === 0) throw new ValueError(`${what}: axis must name at least one axis, got []`)
  for (const a of axes)
    if (typeof a !== 'number' || !Number.isInteger(a))
      throw new ValueError(`${what}: axis must be a whole number or a list of them, got ${show(axis)}`)
  return [...(axes as number[])]
}
