import { type DType, Tensor, type Tree } from '@adjoint/core'
import { leavesOf, mapTree } from '@adjoint/core/extend'
import { isSymbolic } from './symbolic.js'
import type { Sym } from './types.js'

/** What layers are called on, alone or in a structure: a node of a graph, or a value. */
export type Leaf = Sym.Any | Tensor<DType>

export function isTensor(x: unknown): x is Tensor<DType> {
  return x instanceof Tensor
}

export function isLeaf(x: unknown): x is Leaf {
  return isSymbolic(x) || x instanceof Tensor
}

/** Everything in a structure that is no list and no record, in order: leaves, if it is what it should be. */
export function contentOf(tree: unknown): unknown[] {
  return leavesOf<Leaf>(tree as Tree<Leaf>, isLeaf)
}

/** The leaves of a structure that is known to have only such. */
export function leavesIn(tree: unknown): Leaf[] {
  return leavesOf<Leaf>(tree as Tree<Leaf>, isLeaf)
}

export function tensorsIn(tree: unknown): Tensor<DType>[] {
  return leavesOf<Tensor<DType>>(tree as Tree<Tensor<DType>>, isTensor)
}

/** The structure with `f` applied to its leaves. */
export function mapLeaves(
  tree: unknown,
  f: (leaf: Leaf, path: readonly (string | number)[]) => unknown,
): unknown {
  return mapTree<Leaf, unknown>(tree as Tree<Leaf>, isLeaf, f)
}

/** The structure with its leaves replaced, in order. */
export function withLeaves(tree: unknown, leaves: readonly unknown[]): unknown {
  let next = 0
  return mapLeaves(tree, () => leaves[next++])
}
