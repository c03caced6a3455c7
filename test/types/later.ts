// Names that the programs in examples/ use and the package does not have yet, so that their types are tried already.
import type { Dim, LayerBase, LayerOptions, NumericDType, Shape, Sym, SymbolicTensor } from '@adjoint/layers'

type RnnOutput<S extends Shape, U extends number, Seq extends boolean> = Seq extends true
  ? S extends readonly [infer T extends Dim, Dim]
    ? readonly [T, U]
    : Shape
  : readonly [U]

export interface Lstm<
  U extends number,
  Seq extends boolean,
  St extends boolean,
  N extends string,
> extends LayerBase<N> {
  <S extends Shape>(
    x: SymbolicTensor<S, NumericDType>,
    options?: { readonly initialState?: readonly [Sym.Num, Sym.Num] },
  ): St extends true
    ? readonly [
        SymbolicTensor<RnnOutput<S, U, Seq>, 'float32', N>,
        SymbolicTensor<readonly [U], 'float32'>,
        SymbolicTensor<readonly [U], 'float32'>,
      ]
    : SymbolicTensor<RnnOutput<S, U, Seq>, 'float32', N>
}
export declare function lstm<
  const U extends number,
  const Seq extends boolean = false,
  const St extends boolean = false,
  const N extends string = string,
>(
  units: U,
  options?: LayerOptions<N> & { readonly returnSequences?: Seq; readonly returnState?: St },
): Lstm<U, Seq, St, N>

export interface MultiHeadAttention<N extends string> extends LayerBase<N> {
  <S extends Shape>(
    query: SymbolicTensor<S, NumericDType>,
    value: Sym.Num,
    key?: Sym.Num,
  ): SymbolicTensor<S, 'float32', N>
}
export declare function multiHeadAttention<const N extends string = string>(
  options: LayerOptions<N> & { readonly numHeads: number; readonly keyDim: number },
): MultiHeadAttention<N>
