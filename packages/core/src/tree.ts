import { ValueError } from './errors.js'

/** A pytree: a leaf, or a list or record of pytrees. */
export type Tree<L> = L | readonly Tree<L>[] | { readonly [key: string]: Tree<L> }

type IsLeaf = (node: unknown) => boolean
const MAX_DEPTH = 200

/** The leaves from left to right; records in insertion order. */
export function leavesOf<L>(tree: Tree<L>, isLeaf: (node: unknown) => node is L): L[] {
  const leaves: L[] = []
  visit(tree, isLeaf, (leaf) => leaves.push(leaf as L), 0)
  return leaves
}

function visit(node: unknown, isLeaf: IsLeaf, found: (leaf: unknown) => void, depth: number): void {
  if (isLeaf(node)) return found(node)
  if (depth > MAX_DEPTH) throw new ValueError(`a structure is nested more than ${MAX_DEPTH} levels deep`)
  if (Array.isArray(node))
    for (let i = 0; i < node.length; i++) {
      if (!(i in node)) throw new ValueError(`a structure has a list with a hole, at position ${i}`)
      visit(node[i], isLeaf, found, depth + 1)
    }
  else if (isRecord(node)) for (const key of Object.keys(node)) visit(node[key], isLeaf, found, depth + 1)
  else found(node)
}

/** The same structure with `f` applied to each leaf; `path` names it: `["x", 0]`. */
export function mapTree<L, R>(
  tree: Tree<L>,
  isLeaf: (node: unknown) => node is L,
  f: (leaf: L, path: readonly (string | number)[]) => R,
): Tree<R> {
  const walk = (node: unknown, path: readonly (string | number)[]): unknown => {
    if (isLeaf(node)) return f(node, path)
    if (path.length > MAX_DEPTH)
      throw new ValueError(`a structure is nested more than ${MAX_DEPTH} levels deep`)
    // Holes are leaves that nobody can use: seen by Array.from, passed over by map.
    if (Array.isArray(node)) return Array.from(node, (child, i) => walk(child, [...path, i]))
    if (isRecord(node)) {
      const out: Record<string, unknown> = {}
      for (const key of Object.keys(node))
        Object.defineProperty(out, key, {
          value: walk(node[key], [...path, key]),
          enumerable: true,
          writable: true,
          configurable: true,
        })
      return out
    }
    return f(node as L, path)
  }
  return walk(tree, []) as Tree<R>
}

/** `tree` with its leaves replaced, in order, by `leaves`. */
export function replaceLeaves<L, R>(
  tree: Tree<L>,
  isLeaf: (node: unknown) => node is L,
  leaves: readonly R[],
): Tree<R> {
  let next = 0
  return mapTree(tree, isLeaf, () => leaves[next++]!)
}

/** A plain object: neither an array nor an instance of a class. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const proto: unknown = Object.getPrototypeOf(value)
  return proto === null || proto === Object.prototype || Object.getPrototypeOf(proto) === null
}

/** `x.a[0]` for the path `["a", 0]` under the name `x`. */
export function formatPath(name: string, path: readonly (string | number)[]): string {
  return name + path.map((p) => (typeof p === 'number' ? `[${p}]` : `.${p}`)).join('')
}
