import type { Dim, DType, NumericDType, Shape, Tensor } from '@adjoint/core'
import type { SymbolicTensor } from '../symbolic.js'
import type { NumIn, ReplaceLast, Show, Sym } from '../types.js'

// What merge layers say about their lists of inputs at compile time. Sides that are literal are checked; a side that
// is `number` or null is left to run time.

type ShapeOf<X> = X extends SymbolicTensor<infer S> ? S : Shape
type IsSymbolicList<T extends readonly NumIn[]> = Extract<T[number], Sym.Any> extends never ? false : true

/** Nothing for a list that is long enough, or whose length only the run tells; else a message. */
export type AtLeast<
  Least extends readonly unknown[],
  Op extends string,
  T extends readonly unknown[],
> = number extends T['length']
  ? unknown
  : T extends readonly [...Least, ...unknown[]]
    ? unknown
    : `${Op}: takes ${Least['length']} or more inputs`

// ---- elementwise merges: sides broadcast from the last axis on, as in Keras

type DimClash<A extends Dim, B extends Dim> = number extends A
  ? false
  : number extends B
    ? false
    : A extends null | 1
      ? false
      : B extends null | 1
        ? false
        : A extends B
          ? false
          : true
type ShapeClash<A extends Shape, B extends Shape> = A extends readonly [
  ...infer P extends Shape,
  infer a extends Dim,
]
  ? B extends readonly [...infer Q extends Shape, infer b extends Dim]
    ? DimClash<a, b> extends true
      ? true
      : ShapeClash<P, Q>
    : false
  : false

/** `T`, with a message in the place of what cannot be combined with the first input. */
export type MergeCheck<Op extends string, T extends readonly NumIn[]> = T extends readonly [
  SymbolicTensor<infer A>,
  ...NumIn[],
]
  ? {
      [K in keyof T]: T[K] extends SymbolicTensor<infer B>
        ? ShapeClash<A, B> extends true
          ? `${Op}: cannot combine shape [${Show<A>}] with shape [${Show<B>}]`
          : T[K]
        : T[K]
    }
  : T

type BroadcastDim<A extends Dim, B extends Dim> = A extends 1
  ? B
  : B extends 1
    ? A
    : number extends A
      ? B
      : A extends null
        ? B
        : A
type Broadcast<A extends Shape, B extends Shape> = number extends A['length'] | B['length']
  ? Shape
  : Zip<A, B>
type Zip<A extends Shape, B extends Shape> = A extends readonly [
  ...infer P extends Shape,
  infer a extends Dim,
]
  ? B extends readonly [...infer Q extends Shape, infer b extends Dim]
    ? readonly [...Zip<P, Q>, BroadcastDim<a, b>]
    : A
  : B
type BroadcastAll<T extends readonly NumIn[]> = T extends readonly [
  infer H,
  ...infer R extends readonly NumIn[],
]
  ? FoldBroadcast<ShapeOf<H>, R>
  : ShapeOf<T[number]>
type FoldBroadcast<A extends Shape, T extends readonly NumIn[]> = T extends readonly [
  infer H,
  ...infer R extends readonly NumIn[],
]
  ? FoldBroadcast<Broadcast<A, ShapeOf<H>>, R>
  : A

/** The widest dtype of a list. */
export type MergeDType<D extends DType> = DType extends D
  ? DType
  : NumericDType extends D
    ? NumericDType
    : 'float64' extends D
      ? 'float64'
      : 'float32' extends D
        ? 'float32'
        : D

/** What an elementwise merge gives. */
export type Merged<T extends readonly NumIn[], N extends string> =
  IsSymbolicList<T> extends true ? SymbolicTensor<BroadcastAll<T>, MergeDType<T[number]['dtype']>, N> : Tensor

// ---- concatenation

type Lead<S extends Shape> = S extends readonly [...infer H extends Shape, Dim] ? H : Shape
type SideDiffers<A extends Dim, B extends Dim> = number extends A
  ? false
  : number extends B
    ? false
    : A extends null
      ? false
      : B extends null
        ? false
        : A extends B
          ? false
          : true
type LeadDiffers<A extends Shape, B extends Shape> = number extends A['length'] | B['length']
  ? false
  : A extends readonly [infer a extends Dim, ...infer P extends Shape]
    ? B extends readonly [infer b extends Dim, ...infer Q extends Shape]
      ? SideDiffers<a, b> extends true
        ? true
        : LeadDiffers<P, Q>
      : true
    : B extends readonly []
      ? false
      : true

/** `T`, with a message in the place of what does not fit behind the first input on the last axis. */
export type ConcatCheck<T extends readonly NumIn[], A extends number> = A extends -1
  ? T extends readonly [SymbolicTensor<infer S>, ...NumIn[]]
    ? {
        [K in keyof T]: T[K] extends SymbolicTensor<infer B>
          ? LeadDiffers<Lead<S>, Lead<B>> extends true
            ? `concatenate: [${Show<S>}] and [${Show<B>}] may differ on the last axis only`
            : T[K]
          : T[K]
      }
    : T
  : T

/** On the last axis its side is not known (there is no arithmetic in types); on another axis none are. */
type ConcatShape<S extends Shape, A extends number> = A extends -1
  ? ReplaceLast<S, number>
  : { readonly [K in keyof S]: number } extends infer R extends Shape
    ? R
    : Shape

export type Concatenated<T extends readonly NumIn[], A extends number, N extends string> =
  IsSymbolicList<T> extends true
    ? SymbolicTensor<ConcatShape<ShapeOf<T[0]>, A>, MergeDType<T[number]['dtype']>, N>
    : Tensor
