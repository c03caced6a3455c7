// The shapes that slices written as text give, where text and shape are known to the compiler.
import { type Shape, type Sizes, slice, type Tensor, tensor } from '@adjoint/core'
import { input, type SymbolicTensor } from '@adjoint/layers'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <A, B>(_: Same<A, B>): void => undefined

declare const x: Tensor<'float32', readonly [4, 3, 2]>
const row = x.slice('0')
is<typeof row, Tensor<'float32', readonly [3, 2]>>(true)
const whole = x.slice(':, ::-1')
is<typeof whole, Tensor<'float32', readonly [4, 3, 2]>>(true)
const cut = x.slice('1:-1, -1')
is<typeof cut, Tensor<'float32', readonly [number, 2]>>(true)
const grown = x.slice('None, ..., 0, newaxis')
is<typeof grown, Tensor<'float32', readonly [1, 4, 3, 1]>>(true)
const last = x.slice('...,-1 ,')
is<typeof last, Tensor<'float32', readonly [4, 3]>>(true)
const all = x.slice('0,0,0')
is<typeof all, Tensor<'float32', readonly []>>(true)
const called = slice(x, '0, ..., ::2')
is<typeof called, Tensor<'float32', readonly [3, number]>>(true)

// A text or a shape that only running tells gives any shape.
declare const text: string
declare const at: number
declare const size: `${number}`
is<Tensor<'float32', Sizes>, ReturnType<typeof dynamic>>(true)
const dynamic = () => x.slice(text)
const counted = x.slice(`${at}, :`)
is<typeof counted, Tensor<'float32', Sizes>>(true)
const sized = x.slice(size)
is<typeof sized, Tensor<'float32', Sizes>>(true)
const any = tensor([1, 2]).slice('0, 1:')
is<typeof any, Tensor>(true)
export const assignable: Tensor = grown
export const first = <T extends Tensor>(t: T): Tensor => t.slice('0').exp().slice(':, None')

// In a graph the batch comes first.
const s = input({ shape: [10, 4] })
const picked = s.slice(':, 0')
is<typeof picked, SymbolicTensor<readonly [4], 'float32'>>(true)
const inner = s.slice(':, 1:-1, ::-1')
is<typeof inner, SymbolicTensor<readonly [number, 4], 'float32'>>(true)
const dots = s.slice('..., None, 0:2')
is<typeof dots, SymbolicTensor<readonly [10, 1, number], 'float32'>>(true)
const free = input({ shape: [null, 4] }).slice(':, 1:')
is<typeof free, SymbolicTensor<readonly [null, 4], 'float32'>>(true)
const open = s.slice(text)
is<typeof open, SymbolicTensor<Shape, 'float32'>>(true)

// @ts-expect-error more axes than there are
x.slice('0, 0, 0, 0')
// @ts-expect-error the same, counted from the end
x.slice('..., 0, :, 0, None, :')
// @ts-expect-error the same, as a function
slice(x, ':, :, :, 1:')
// @ts-expect-error the batch counts as an axis, but is only one
s.slice(':, :, 0, 0')
// @ts-expect-error a number is no text
x.slice(0)
