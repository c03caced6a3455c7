import { stack } from './ops/joining.js'
import { reshape } from './ops/movement.js'
import { sum } from './ops/reduce.js'
import { slice } from './ops/slicing.js'
import { checkFunction } from './options.js'
import { inScope, tensorsWithin } from './scope.js'
import { eye, type Tensor, zeros } from './tensor.js'
import {
  checkOutput,
  checkTuple,
  grad,
  isTensor,
  tensorsLike,
  type TensorTree,
  valueAndGrad,
  vjp,
} from './transforms.js'
import { leavesOf, mapTree } from './tree.js'

type Args = readonly unknown[]
type Same<A extends Args> = { -readonly [K in keyof A]: A[K] }

/**
 * The value of `f` at `primals`, and its derivative along `tangents`, which have the structure of `primals`:
 * the Jacobian-vector product. The tape runs backwards only, so this is the pullback of the pullback, which is
 * linear in its cotangent and so has the transposed Jacobian for its own.
 */
export function jvp<A extends Args, R extends TensorTree>(
  f: (...primals: A) => R,
  primals: A,
  tangents: A,
): [value: R, tangent: R] {
  checkFunction('jvp', f)
  checkTangents('jvp', primals, tangents)
  return inScope(() => pushforward(f, primals, tangents), tensorsWithin)
}

function pushforward<A extends Args, R extends TensorTree>(
  f: (...primals: A) => R,
  primals: A,
  tangents: A,
): [value: R, tangent: R] {
  let value: R | undefined
  const pull = (cotangent: R): Same<A> => {
    const [out, pullback] = vjp(f, primals)
    value = out
    return pullback(cotangent)
  }
  const [out] = vjp(f, primals)
  const cotangent = mapTree<Tensor, Tensor>(out, isTensor, (x) => zeros(x.shape, x.dtype)) as R
  const [, pullPull] = vjp(pull as unknown as (cotangent: R) => TensorTree, [cotangent])
  const [tangent] = pullPull(tangents as unknown as TensorTree)
  return [value ?? out, tangent]
}

/** The tangents of all tensors of the primals, in their order. */
function checkTangents(op: string, primals: Args, tangents: Args): Tensor[] {
  checkTuple(op, 'primals', primals)
  checkTuple(op, 'tangents', tangents)
  return tensorsLike(op, 'tangents', tangents, primals as TensorTree, 'primals')
}

/**
 * The Jacobian of `f` by its first argument, x: a tensor of shape [...f(x).shape, ...x.shape]. Further arguments are
 * constants. One pullback for each element of the output.
 */
export function jacobian<A extends readonly [Tensor, ...unknown[]]>(
  f: (...args: A) => Tensor,
): (...args: A) => Tensor {
  checkFunction('jacobian', f)
  return (...args) =>
    inScope(
      () => jacobianAt(f, args),
      (made) => [made],
    )
}

function jacobianAt<A extends readonly [Tensor, ...unknown[]]>(f: (...args: A) => Tensor, args: A): Tensor {
  const [x, ...rest] = args
  const [out, pullback] = vjp((primal: Tensor) => f(...([primal, ...rest] as unknown as A)), [x])
  checkOutput('jacobian', out)
  const shape = [...out.shape, ...x.shape]
  if (out.size === 0 || x.size === 0) return zeros(shape, x.dtype)
  const units = eye(out.size, out.size, out.dtype)
  const rows = Array.from({ length: out.size }, (_, i) => {
    const unit = reshape(slice(units, [i, 0], [1, out.size]), out.shape)
    return pullback(unit)[0]
  })
  return reshape(stack(rows), shape)
}

/** The Hessian of a scalar function by its first argument, x: a tensor of shape [...x.shape, ...x.shape]. */
export function hessian<A extends readonly [Tensor, ...unknown[]]>(
  f: (...args: A) => Tensor,
): (...args: A) => Tensor {
  checkFunction('hessian', f)
  const gradient = valueAndGrad(f)
  return jacobian((...args: A) => gradient(...args)[1] as Tensor)
}

/**
 * Products of the Hessian of a scalar function with `tangents`: the gradient of the gradient's component along them,
 * at the cost of a few evaluations and without the Hessian itself (Pearlmutter 1994).
 */
export function hvp<A extends Args>(f: (...primals: A) => Tensor): (primals: A, tangents: A) => Same<A> {
  checkFunction('hvp', f)
  return (primals, tangents) => {
    const ts = checkTangents('hvp', primals, tangents)
    const nums = primals.map((_, i) => i)
    const gradient = valueAndGrad(f, { argnums: nums })
    const along = (...xs: A): Tensor => {
      const gs = leavesOf<Tensor>(gradient(...xs)[1] as TensorTree, isTensor)
      return gs.map((g, i) => sum(g.mul(ts[i]!))).reduce((a, b) => a.add(b))
    }
    return grad(along, { argnums: nums })(...primals) as unknown as Same<A>
  }
}
