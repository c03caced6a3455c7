import {
  call,
  checkNumber,
  checkOption,
  elementwise,
  type Like,
  type Operand,
  type Params,
  type Row,
  type Unary,
  unary,
} from '../op.js'
import type { Tensor } from '../tensor.js'
import { add, div, mul, neg, square, sub } from './arithmetic.js'
import { greater } from './comparison.js'
import { exp } from './exponential.js'
import { where } from './select.js'
import { tanh } from './trigonometric.js'

/** max(x, 0). The derivative at 0 is taken as 0. */
export const relu: Unary = unary({
  name: 'relu',
  args: ['x'],
  expr: 'max(x, 0)',
  dtype: 'number',
  kinks: [0],
  vjp: { x: ({ g, x }) => gate(g, x) },
})

/** y where x > 0, else 0. */
const gateRow: Row<'y' | 'x', Params<never>> = elementwise({
  name: 'gate',
  args: ['y', 'x'],
  expr: 'x > 0 ? y : 0',
  kinks: [0],
  vjp: { y: ({ g, x }) => gate(g, x), x: null },
})
function gate(y: Tensor, x: Tensor): Tensor {
  return call(gateRow, [y, x], {})
}

/** min(max(x, 0), 6). The derivative at 0 and 6 is taken as 0. */
export const relu6: Unary = unary({
  name: 'relu6',
  args: ['x'],
  expr: 'min(max(x, 0), 6)',
  dtype: 'number',
  kinks: [0, 6],
  vjp: { x: ({ g, x }) => gate(gate(g, x), sub(6, x)) },
})

const leakyReluRow: Row<'x', Params<'alpha'>> = elementwise({
  name: 'leakyRelu',
  args: ['x'],
  params: ['alpha'],
  expr: 'x > 0 ? x : alpha * x',
  kinks: [0],
  vjp: { x: ({ g, x, attrs: { alpha } }) => where(greater(x, 0), g, mul(g, alpha)) },
})

/** x above 0, alpha x below. The derivative at 0 is alpha. */
export function leakyRelu<X extends Operand>(x: X, alpha: number = 0.2): Like<X> {
  return call(leakyReluRow, [x], { alpha: checkNumber('leakyRelu', 'alpha', alpha) }) as Like<X>
}

const eluRow: Row<'x', Params<'alpha'>> = elementwise({
  name: 'elu',
  args: ['x'],
  params: ['alpha'],
  expr: 'x > 0 ? x : alpha * expm1(x)',
  kinks: [0],
  vjp: {
    // exp of the clipped x: the branch not taken must not overflow.
    x: ({ g, x, attrs: { alpha } }) => mul(g, where(greater(x, 0), 1, mul(exp(neg(relu(neg(x)))), alpha))),
  },
})

/** x above 0, alpha (exp(x) - 1) below (Clevert et al. 2015). The derivative at 0 is alpha. */
export function elu<X extends Operand>(x: X, alpha: number = 1): Like<X> {
  return call(eluRow, [x], { alpha: checkNumber('elu', 'alpha', alpha) }) as Like<X>
}

const SELU_ALPHA = 1.6732632423543772
const SELU_SCALE = 1.0507009873554805

/** scale · elu(x, alpha) with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017). */
export const selu: Unary = unary({
  name: 'selu',
  args: ['x'],
  expr: `${SELU_SCALE} * (x > 0 ? x : ${SELU_ALPHA} * expm1(x))`,
  kinks: [0],
  vjp: {
    x: ({ g, x }) =>
      mul(g, where(greater(x, 0), SELU_SCALE, mul(exp(neg(relu(neg(x)))), SELU_SCALE * SELU_ALPHA))),
  },
})

/** 1 / (1 + exp(-x)) */
export const sigmoid: Unary = unary({
  name: 'sigmoid',
  args: ['x'],
  expr: '1 / (1 + exp(-x))',
  ulps: 2,
  // sigmoid(-x) instead of 1 - sigmoid(x), which cancels for large x.
  vjp: { x: ({ g, x, out }) => mul(g, mul(out, sigmoid(neg(x)))) },
})

/** log(sigmoid(x)) without overflow. */
export const logSigmoid: Unary = unary({
  name: 'logSigmoid',
  args: ['x'],
  expr: 'min(x, 0) - log1p(exp(-abs(x)))',
  ulps: 2,
  vjp: { x: ({ g, x }) => mul(g, sigmoid(neg(x))) },
})

/** log(1 + exp(x)) without overflow. */
export const softplus: Unary = unary({
  name: 'softplus',
  args: ['x'],
  expr: 'max(x, 0) + log1p(exp(-abs(x)))',
  ulps: 2,
  vjp: { x: ({ g, x }) => mul(g, sigmoid(x)) },
})

/** x / (1 + |x|) */
export const softsign: Unary = unary({
  name: 'softsign',
  args: ['x'],
  expr: 'x / (1 + abs(x))',
  vjp: { x: ({ g, x }) => div(g, square(softsignBase(x))) },
})

/** 1 + |x|, with the derivative at 0 taken as 0. */
const softsignBase: Unary = unary({
  name: 'onePlusAbs',
  args: ['x'],
  expr: '1 + abs(x)',
  kinks: [0],
  vjp: { x: ({ g, x }) => sub(gate(g, x), gate(g, neg(x))) },
})

/** x sigmoid(x), also called swish. */
export const silu: Unary = unary({
  name: 'silu',
  args: ['x'],
  expr: 'x / (1 + exp(-x))',
  ulps: 2,
  vjp: { x: ({ g, x }) => mul(g, siluSlope(x)) },
})

/** x less the root of siluSlope, which is known to twice the precision. */
const fromSiluRoot = '(x + 1.2784645427610737 + 1.0946994183093437e-16)'

const siluSlope: Unary = unary({
  name: 'siluSlope',
  args: ['x'],
  // s (1 + x (1 - s)), which cancels around its root r. There (1 + r) exp(-r) = -1, and with d = x - r the sum
  // 1 + (1 + x) exp(-x) is 1 - (1 + d / (1 + r)) exp(-d), written out below without the ones.
  expr: `
    abs(${fromSiluRoot}) < 0.25
      ? (${fromSiluRoot} * 3.591121476668622 * (1 + expm1(-${fromSiluRoot})) - expm1(-${fromSiluRoot}))
        / ((1 + exp(-x)) * (1 + exp(-x)))
      : (1 + x / (1 + exp(x))) / (1 + exp(-x))`,
  vjp: {
    // s q (2 + x (q - s)) with q = 1 - s.
    x: ({ g, x }) => {
      const [s, q] = [sigmoid(x), sigmoid(neg(x))]
      return mul(g, mul(mul(s, q), add(mul(x, sub(q, s)), 2)))
    },
  },
})

/** What e (e + 2) with e = exp(x) is above its value 14/9 at -0.513…: there tanh(softplus(x)) is 7/16. */
const fromFourteenNinths = `(expm1(x + 0.5131441298069709)
  * (1.9138900955692981 + 0.35833454001374253 * expm1(x + 0.5131441298069709)))`

/** x tanh(softplus(x)) (Misra 2019). */
export const mish: Unary = unary({
  name: 'mish',
  args: ['x'],
  // tanh(log(1 + e)) = p / (p + 2) with e = exp(x) and p = e (e + 2); above 20 it is 1 to the last digit. Each piece is
  // written as something exact and a correction, whose roundings count the less the smaller it is: with m = e - 1,
  // x - 2 x / (p + 2) = x - 2 x / (5 + m (4 + m)), and e - e² (e + 1) / (p + 2), which is e alone
  // far down: in two halves, as it may be below the least normal number where x e is not. So may parts of a tiny x.
  expr: `
    x > 20 ? x : abs(x) < 1e-30 ? 0.6 * x
      : x > -0.25 ? x - 2 * x / (5 + expm1(x) * (4 + expm1(x)))
        : x > -0.85 ? x * (0.4375 + 0.5625 * ${fromFourteenNinths} / (3.5555555555555556 + ${fromFourteenNinths}))
          : x > -4 ? x * (exp(x) - exp(x) * exp(x) * (exp(x) + 1) / (exp(x) * (exp(x) + 2) + 2))
            : x < -40 ? x * exp(x / 2) * exp(x / 2)
              : x * exp(x) - x * exp(x) * exp(x) * (exp(x) + 1) / (exp(x) * (exp(x) + 2) + 2)`,
  vjp: { x: ({ g, x }) => mul(g, mishSlope(x)) },
})

/** x less the root of mishSlope, which is known to twice the precision. */
const fromMishRoot = '(x + 1.1924312145154952 + 4.8484829848031044e-17)'

const mishSlope: Unary = unary({
  name: 'mishSlope',
  args: ['x'],
  // 4 e w / (e (e + 2) + 2)² with e = exp(x) and w = x + 1 + e (x + 3/2) + e² + e³ / 4, which cancels around its root r.
  // There w is w(x) - w(r): with d = x - r and m = exp(d) - 1 = e / exp(r) - 1 all its terms have the sign of d.
  expr: `
    x > 20 ? 1 : 4 * exp(x) / (exp(x) * (exp(x) + 2) + 2) / (exp(x) * (exp(x) + 2) + 2) * (
      abs(${fromMishRoot}) < 0.25
        ? ${fromMishRoot} * (1 + exp(x)) + expm1(${fromMishRoot}) * (0.29850848474098474
          + expm1(${fromMishRoot}) * (0.11306508072778206 + expm1(${fromMishRoot}) * 0.0069878105022925345))
        : x + 1 + exp(x) * (x + 1.5 + exp(x) * (1 + exp(x) / 4)))`,
  vjp: {
    // With t = tanh(softplus(x)) and s = sigmoid(x): (1 - t²) s (2 + x (1 - s - 2 t s)).
    x: ({ g, x }) => {
      const [t, s] = [tanh(softplus(x)), sigmoid(x)]
      const bend = mul(x, sub(sigmoid(neg(x)), mul(mul(t, s), 2)))
      return mul(g, mul(mul(sub(1, square(t)), s), add(bend, 2)))
    },
  },
})

const geluRow: Row<'x', Params<never>> = elementwise({
  name: 'gelu',
  args: ['x'],
  expr: 'gelu(x)',
  ulps: 1,
  vjp: { x: ({ g, x }) => mul(g, geluSlope(x)) },
})

const geluSlope: Unary = unary({
  name: 'geluSlope',
  args: ['x'],
  expr: 'geluSlope(x)',
  // phi(x) (2 - x²)
  vjp: { x: ({ g, x }) => mul(g, mul(normalDensity(x), sub(2, square(x)))) },
})

/** exp(-x² / 2) / √(2π) */
const normalDensity: Unary = unary({
  name: 'normalDensity',
  args: ['x'],
  expr: 'exp(-0.5 * x * x) * 0.3989422804014327',
  vjp: { x: ({ g, x, out }) => neg(mul(g, mul(x, out))) },
})

const geluTanhRow: Row<'x', Params<never>> = elementwise({
  name: 'geluTanh',
  args: ['x'],
  expr: 'geluTanh(x)',
  ulps: 1,
  vjp: { x: ({ g, x }) => mul(g, geluTanhSlope(x)) },
})

const geluTanhSlope: Unary = unary({
  name: 'geluTanhSlope',
  args: ['x'],
  expr: 'geluTanhSlope(x)',
  vjp: {
    // With s = sigmoid(w), q = 1 - s and w = 2k (x + c x³): s q (2w' + x ((q - s) w'² + w'')).
    x: ({ g, x }) => {
      const w = mul(add(x, mul(mul(square(x), x), 0.044715)), 1.5957691216057308)
      const dw = mul(add(mul(square(x), 0.134145), 1), 1.5957691216057308)
      const d2w = mul(x, 0.26829 * 1.5957691216057308)
      const s = sigmoid(w)
      const q = sigmoid(neg(w))
      const bend = mul(x, add(mul(sub(q, s), square(dw)), d2w))
      return mul(g, mul(mul(s, q), add(mul(dw, 2), bend)))
    },
  },
})

/** x Phi(x), Phi the normal distribution function; `approximate` takes its form by tanh (Hendrycks & Gimpel 2016). */
export function gelu<X extends Operand>(x: X, approximate: boolean = false): Like<X> {
  return call(approximate ? geluTanhRow : geluRow, [x], {}) as Like<X>
}

const hardSigmoidRow: Row<'x', Params<'slope'>> = elementwise({
  name: 'hardSigmoid',
  args: ['x'],
  params: ['slope'],
  expr: 'min(max(slope * x + 0.5, 0), 1)',
  domain: { x: [-2, 2] },
  kinks: [-3, -2.5, 2.5, 3],
  vjp: {
    x: ({ g, x, attrs: { slope } }) => {
      const y = add(mul(x, slope), 0.5)
      return gate(gate(mul(g, slope), y), sub(1, y))
    },
  },
})

const hardSigmoid3: Row<'x', Params<never>> = elementwise({
  name: 'hardSigmoid3',
  args: ['x'],
  expr: 'min(max(x + 3, 0), 6) / 6',
  kinks: [-3, 3],
  vjp: { x: ({ g, x }) => gate(gate(div(g, 6), add(x, 3)), sub(3, x)) },
})

/** relu6(x + 3) / 6, as in Keras 3; the variant 'keras2' is clip(0.2 x + 0.5, 0, 1). The derivative at the corners is 0. */
export function hardSigmoid<X extends Operand>(x: X, variant: 'keras3' | 'keras2' = 'keras3'): Like<X> {
  return checkOption('hardSigmoid', 'variant', variant, ['keras3', 'keras2']) === 'keras3'
    ? (call(hardSigmoid3, [x], {}) as Like<X>)
    : (call(hardSigmoidRow, [x], { slope: 0.2 }) as Like<X>)
}

/** The error function. */
export const erf: Unary = unary({
  name: 'erf',
  args: ['x'],
  expr: 'erf(x)',
  ulps: 1,
  vjp: { x: ({ g, x }) => mul(g, mul(exp(neg(square(x))), TWO_OVER_ROOT_PI)) },
})

/** 1 - erf(x), exact for large x. */
export const erfc: Unary = unary({
  name: 'erfc',
  args: ['x'],
  expr: 'erfc(x)',
  vjp: { x: ({ g, x }) => mul(g, mul(exp(neg(square(x))), -TWO_OVER_ROOT_PI)) },
})
const TWO_OVER_ROOT_PI = 1.1283791670955126
