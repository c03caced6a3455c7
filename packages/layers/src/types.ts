import type { DType, Dim, Nested, NumericDType, Shape, Sizes, Tensor, Tree, TypedArray } from '@adjoint/core'
import type { SymbolicTensor } from './symbolic.js'

/** Symbolic tensors whose shapes and names do not matter. */
export declare namespace Sym {
  type Any = SymbolicTensor<Shape, DType, string>
  type Num = SymbolicTensor<Shape, NumericDType, string>
  type Str = SymbolicTensor<Shape, 'string', string>
}

/** A structure of symbolic tensors: one, a list, a record, or nested. */
export type SymTree = Tree<Sym.Any>
/** One tensor of numbers, in a graph or in hand. */
export type NumIn = Sym.Num | Tensor

// ---- shapes

/** A shape in words: `3, null, 5`. */
export type Show<S extends Shape> = S extends readonly [infer A extends Dim]
  ? `${A}`
  : S extends readonly [infer A extends Dim, ...infer R extends Shape]
    ? `${A}, ${Show<R>}`
    : ''

/** `S` with its last side replaced. */
export type ReplaceLast<S extends Shape, U extends Dim> = S extends readonly [...infer H extends Shape, Dim]
  ? readonly [...H, U]
  : Shape

/** `S` as one axis, where that is known without arithmetic. */
export type FlattenShape<S extends Shape> = S extends readonly []
  ? readonly [1]
  : S extends readonly [Dim]
    ? S
    : S extends readonly [1, infer A extends Dim]
      ? readonly [A]
      : S extends readonly [infer A extends Dim, 1]
        ? readonly [A]
        : readonly [number]

/** `S` with a last side of 1 replaced, or with one more side. */
export type EncodeLast<S extends Shape, U extends Dim> = S extends readonly [...infer H extends Shape, 1]
  ? readonly [...H, U]
  : number extends S['length']
    ? Shape
    : number extends LastOf<S>
      ? Shape
      : readonly [...S, U]
type LastOf<S extends Shape> = S extends readonly [...Shape, infer L extends Dim] ? L : never

/** A symbolic shape as that of the tensor it stands for: the batch in front, unknown sides as numbers. */
export type WithBatch<S extends Shape> = readonly [number, ...KnownSides<S>]
type KnownSides<S extends Shape> = {
  [K in keyof S]: S[K] extends number ? S[K] : number
} extends infer R extends Sizes
  ? R
  : Sizes

// ---- what the layers' names and options have in common

/**
 * The options every layer has. `kind` is no option: it keeps a symbolic tensor, which also has a name, from passing
 * for options (`flatten(x)` instead of `flatten()(x)`).
 */
export interface LayerOptions<N extends string = string> {
  /** Unique in a model; made from the class otherwise. */
  readonly name?: N
  /** Whether training changes its weights (default true). */
  readonly trainable?: boolean
  /** The float dtype of its weights; the default float unless given. */
  readonly dtype?: 'float32' | 'float64'
  /** Without the batch: makes it the first layer of a sequential model. */
  readonly inputShape?: Shape
  /** What each of its float outputs adds to the loss; it is divided by the number of rows. */
  readonly activityRegularizer?: RegularizerLike | undefined
  readonly kind?: never
}

export type ActivationName =
  | 'linear'
  | 'relu'
  | 'relu6'
  | 'leaky_relu'
  | 'elu'
  | 'celu'
  | 'selu'
  | 'gelu'
  | 'silu'
  | 'swish'
  | 'mish'
  | 'sigmoid'
  | 'hard_sigmoid'
  | 'log_sigmoid'
  | 'sparse_sigmoid'
  | 'hard_silu'
  | 'hard_swish'
  | 'tanh'
  | 'hard_tanh'
  | 'tanh_shrink'
  | 'hard_shrink'
  | 'soft_shrink'
  | 'softmax'
  | 'log_softmax'
  | 'softplus'
  | 'softsign'
  | 'squareplus'
  | 'sparse_plus'
  | 'exponential'
export type ActivationLike = ActivationName | ((x: Tensor) => Tensor)

export type InitializerName =
  | 'zeros'
  | 'ones'
  | 'glorot_uniform'
  | 'glorot_normal'
  | 'he_uniform'
  | 'he_normal'
  | 'lecun_uniform'
  | 'lecun_normal'
  | 'random_uniform'
  | 'random_normal'
  | 'truncated_normal'
  | 'orthogonal'
  | 'identity'
/** Makes the first values of a weight. */
export interface Initializer {
  (shape: Sizes): Tensor
}
export type InitializerLike = InitializerName | Initializer

/** By name with factors of 0.01. */
export type RegularizerName = 'l1' | 'l2' | 'l1_l2' | 'orthogonal_regularizer'
/** Gives the scalar that a tensor adds to the loss. */
export type RegularizerLike = RegularizerName | ((w: Tensor) => Tensor)

export type ConstraintName = 'max_norm' | 'non_neg' | 'unit_norm' | 'min_max_norm'
/** Gives what a weight is replaced by after each step of an optimizer. */
export type ConstraintLike = ConstraintName | ((w: Tensor) => Tensor)

// ---- structures of models and their data

/** Whether a structure is not known statically: `Model` without arguments, or one just loaded. */
export type Wide<T> = SymTree extends T ? true : false

/** The symbolic tensors of a structure, as a union. */
export type Leaves<T> =
  Wide<T> extends true
    ? Sym.Any
    : T extends Sym.Any
      ? T
      : T extends Tensor<DType>
        ? never
        : T extends readonly unknown[]
          ? Leaves<T[number]>
          : T extends object
            ? Leaves<T[keyof T]>
            : never

/** A column of a table: Arrow's vectors, polars' series, and what `fromRows` makes have such a method. */
export interface ColumnData<T> {
  toArray(): ArrayLike<T>
}

/** Values row after row, and their shape, the rows first. */
export interface ShapedData {
  readonly data: TypedArray | readonly number[]
  readonly shape: readonly number[]
}

export type NumericData =
  | Tensor<NumericDType>
  | TypedArray
  | Nested<number>
  | Nested<boolean>
  | ColumnData<number | boolean | null | ArrayLike<number>>
  | ShapedData
export type StringData = Tensor<'string'> | Nested<string> | ColumnData<string | null>
/** Targets may be missing, where `compile` was told what becomes of them. */
export type TargetData = NumericData | Nested<number | null>
export type DataFor<D extends DType> = [D] extends ['string']
  ? StringData
  : [D] extends [NumericDType]
    ? NumericData
    : NumericData | StringData

/** Data in the structure of a model's inputs or outputs. */
export type DataTree<T> =
  Wide<T> extends true
    ? Tree<NumericData | StringData>
    : T extends SymbolicTensor<Shape, infer D, string>
      ? DataFor<D>
      : { readonly [K in keyof T]: DataTree<T[K]> }

/** Data by the names of tensors, for models made of one tensor or a list. */
export type NamedData<T> =
  Wide<T> extends true
    ? never
    : T extends Sym.Any | readonly unknown[]
      ? { readonly [L in Leaves<T> as L['name']]: DataFor<L['dtype']> }
      : never

/** What `fit` takes as targets: data in the structure of the outputs, or by their names. */
export type Targets<T> = TargetTree<T> | NamedTargets<T>
type TargetTree<T> =
  Wide<T> extends true
    ? Tree<TargetData | StringData>
    : T extends SymbolicTensor<Shape, DType, string>
      ? TargetData
      : { readonly [K in keyof T]: TargetTree<T[K]> }
type NamedTargets<T> =
  Wide<T> extends true
    ? never
    : T extends Sym.Any | readonly unknown[]
      ? { readonly [N in Leaves<T>['name']]: TargetData }
      : never

/** What fit, evaluate and predict take for `T`. */
export type Feed<T> = DataTree<T> | NamedData<T>

/** The keys that losses, metrics and history use for outputs. */
export type OutKey<O> =
  Wide<O> extends true
    ? string
    : O extends Sym.Any | readonly unknown[]
      ? Leaves<O>['name']
      : keyof O & string

/** Tensors in the structure of symbolic ones. */
export type TensorsOf<T> =
  Wide<T> extends true
    ? // A structure that is not known cannot be checked: its results are the caller's to know.
      // oxlint-disable-next-line typescript/no-explicit-any
      any
    : T extends SymbolicTensor<infer S, infer D, string>
      ? Tensor<D, WithBatch<S>>
      : T extends readonly unknown[]
        ? { -readonly [K in keyof T]: TensorsOf<T[K]> }
        : { [K in keyof T]: TensorsOf<T[K]> }

/** A value for each output: in a list's order, or by name; for one output the value itself. */
export type PerOutput<O, V> =
  Wide<O> extends true
    ? Tree<V | null>
    : O extends Sym.Any
      ? V | { readonly [K in OutKey<O>]?: V }
      : O extends readonly unknown[]
        ? { readonly [K in keyof O]: V | null } | { readonly [K in OutKey<O>]?: V }
        : { readonly [K in keyof O]?: V }

/** What a model may be called on. */
export type CallArg<T> =
  Wide<T> extends true
    ? Tree<Sym.Any | Tensor<DType>>
    : T extends Sym.Any
      ? Sym.Any | Tensor<DType>
      : { readonly [K in keyof T]: CallArg<T[K]> }

/** Whether a structure holds symbolic tensors. */
export type IsSym<A> = Leaves<A> extends never ? false : true

/** New symbolic tensors in the structure of `T`. */
export type SymLike<T> =
  Wide<T> extends true
    ? // oxlint-disable-next-line typescript/no-explicit-any -- as in TensorsOf
      any
    : T extends SymbolicTensor<infer S, infer D, string>
      ? SymbolicTensor<S, D>
      : { readonly [K in keyof T]: SymLike<T[K]> }
