/**
 * Scalar functions in the subset of JavaScript that gpu.js translates. Devices promise little about their own: exp and
 * log lose digits near 0 and 1, sin and cos everywhere, tanh overflows, pow takes no negative base. These hold to a few
 * ulps of float32 and say NaN and Infinity where float arithmetic does. They are texts, not functions: what a bundler
 * does to a function no longer compiles for a device.
 */
export interface DeviceFunction {
  readonly name: string
  readonly source: string
  readonly argumentTypes: readonly DeviceType[]
  readonly returnType: DeviceType
  /** The same in GLSL of WebGL 2, where that has better words for it. */
  readonly glsl?: string
  /** The same in WGSL, likewise. */
  readonly wgsl?: string
}

type DeviceType = 'Number' | 'Integer'

type Texts = Pick<DeviceFunction, 'glsl' | 'wgsl'>

function define(source: string, type: DeviceType, texts: Texts = {}): DeviceFunction {
  const [, name, args] = /^function (\w+)\(([^)]*)\)/.exec(source) as unknown as [string, string, string]
  const argumentTypes = args.split(',').map(() => type)
  return { name, source, argumentTypes, returnType: type, ...texts }
}

const numbers = (source: string, texts?: Texts): DeviceFunction => define(source, 'Number', texts)
const integers = (source: string): DeviceFunction => define(source, 'Integer')

/** The value of a polynomial at `x`, coefficients from the highest power down, as a formula. */
function horner(x: string, coefficients: readonly number[]): string {
  return coefficients.slice(1).reduce((sum, c) => `(${sum}) * ${x} + (${c})`, `(${coefficients[0]})`)
}

/** Whether `x` is NaN: drivers may take it that nothing is. */
const WGSL_IS_NAN = '(bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u'

/** The largest float32. */
const MOST = (2 - 2 ** -23) * 2 ** 127

const LIBRARY: readonly DeviceFunction[] = [
  // ---- whole numbers: exact below 2^31. A quotient of floats may be off by a few; what is left over says by how many.
  integers(`function estimate(a, b) { return a / b; }`),
  integers(`function excess(r, b) { if (r >= b) { return 1; } if (r < 0) { return -1; } return 0; }`),
  integers(`function refined(a, b, q) { return q + estimate(a - q * b, b); }`),
  integers(`function corrected(a, b, q) { return q + excess(a - q * b, b); }`),
  integers(`function idiv(a, b) { return corrected(a, b, refined(a, b, estimate(a, b))); }`),
  integers(`function imod(a, b) { return a - idiv(a, b) * b; }`),
  integers(`function lesser(a, b) { if (a < b) { return a; } return b; }`),
  // q where d is no less than 0, else more than any index
  integers(`function from0(q, d) { if (d < 0) { return 2147483647; } return q; }`),
  // ---- whether a number is none of NaN and the infinities; x - x === 0, drivers take for true
  numbers(`function fnReal(x) {
    if (x === x) { if (Math.abs(x) <= ${MOST}) { return 1; } }
    return 0;
  }`),
  // ---- what a whole number of another dtype makes of a value
  numbers(`function toInt32(x) {
    if (fnReal(x) === 0) { return 0; }
    const t = fnTrunc(x);
    if (Math.abs(t) < 2147483648) { return t; }
    return t - 4294967296 * fnFloor((t + 2147483648) / 4294967296);
  }`),
  numbers(`function toUint8(x) {
    if (fnReal(x) === 0) { return 0; }
    const t = fnTrunc(x);
    return t - 256 * fnFloor(t / 256);
  }`),
  // ---- rounding; gpu.js takes the result of floor and the like for 32-bit integers, a function of its own does not
  numbers(`function fnFloor(x) { return Math.floor(x); }`),
  numbers(`function fnCeil(x) { return Math.ceil(x); }`),
  numbers(`function fnTrunc(x) { if (x < 0) { return fnCeil(x); } return fnFloor(x); }`),
  numbers(`function fnRound(x) {
    const down = fnFloor(x);
    const rest = x - down;
    let near = down;
    if (rest > 0.5 || (rest === 0.5 && down - 2 * fnFloor(down * 0.5) !== 0)) { near = down + 1; }
    if (near === 0) { return x * 0; }
    return near;
  }`),
  numbers(
    `function fnSign(x) { if (x > 0) { return 1; } if (x < 0) { return -1; } if (x === 0) { return x; } return 0; }`,
  ),
  numbers(`function fnAbs(x) { return Math.abs(x); }`),
  numbers(`function fnSqrt(x) { return Math.sqrt(x); }`),
  numbers(
    `function fnMin(x, y) { if (!(x === x)) { return x; } if (!(y === y)) { return y; } return Math.min(x, y); }`,
  ),
  numbers(
    `function fnMax(x, y) { if (!(x === x)) { return x; } if (!(y === y)) { return y; } return Math.max(x, y); }`,
  ),
  numbers(`function fnNaN(x) { return Math.sqrt(-1 - Math.abs(x)); }`),
  numbers(`function withSignOf(x, a) { if (x < 0) { return -a; } return a; }`),
  // ---- exponentials and logarithms
  // A driver's exp loses digits as x grows: x is taken apart, x = n log 2 + r. What drivers make of the log of NaN or of an infinity, and of the exp of NaN, is anything.
  numbers(
    `function fnExp(x) {
    if (!(x === x)) { return x; }
    if (Math.abs(x) < 16) { return Math.exp(x); }
    if (x < -104) { return 0; }
    if (x > 89) { return Math.exp(x); }
    const n = fnFloor(x * ${Math.LOG2E} + 0.5);
    const half = fnFloor(n * 0.5);
    return Math.exp((x - n * 0.693359375) + n * 0.00021219444005469058) * twoTo(half) * twoTo(n - half);
  }`,
    // Without branches, of which some drivers go into all.
    {
      glsl: `float fnExp(float x) {
      float n = floor(clamp(x, -160.0, 160.0) * ${Math.LOG2E} + 0.5);
      int k = int(n);
      int h = k >> 1;
      float r = exp((x - n * 0.693359375) + n * 0.00021219444005469058);
      return x == x ? r * intBitsToFloat((h + 127) << 23) * intBitsToFloat((k - h + 127) << 23) : x;
    }`,
      wgsl: `fn fn_fnExp(x : f32) -> f32 {
      let n = floor(clamp(x, -160.0, 160.0) * ${Math.LOG2E} + 0.5);
      let k = i32(n);
      let h = k >> 1u;
      let r = exp((x - n * 0.693359375) + n * 0.00021219444005469058);
      let y = r * bitcast<f32>((h + 127) << 23u) * bitcast<f32>((k - h + 127) << 23u);
      return select(y, x, ${WGSL_IS_NAN});
    }`,
    },
  ),
  // y where x is finite and above 0: of 0 and of what is below it some drivers have finite logarithms
  numbers(`function ofLog(x, y) {
    if (x > 0) { if (fnReal(x) > 0) { return y; } return x; }
    if (x === 0) { return -1 / Math.abs(x); }
    return fnNaN(x);
  }`),
  numbers(`function plainLog(x) { return ofLog(x, Math.log(x)); }`),
  numbers(`function fnExpm1(x) {
    if (Math.abs(x) > 0.5) { return fnExp(x) - 1; }
    return x + x * x * (${horner('x', [1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2])});
  }`),
  // log(1 + x) = 2 atanh(x / (2 + x))
  numbers(`function fnLog1p(x) {
    if (x < -0.3 || x > 0.4) { return plainLog(1 + x); }
    if (!(x === x)) { return x; }
    const s = x / (2 + x);
    const z = s * s;
    return x - s * (x - 2 * z * (${horner('z', [1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3])}));
  }`),
  numbers(`function fnLog(x) { if (x > 0.7 && x < 1.4) { return fnLog1p(x - 1); } return plainLog(x); }`),
  numbers(
    `function fnLog2(x) { if (x > 0.7 && x < 1.4) { return fnLog1p(x - 1) * ${Math.LOG2E}; } return ofLog(x, Math.log2(x)); }`,
  ),
  numbers(`function fnLog10(x) { return fnLog(x) * ${Math.LOG10E}; }`),
  // 2 to a whole number, by exact products
  numbers(`function twoTo(n) {
    let r = 1.0;
    let a = Math.abs(n);
    if (a >= 64) { r = r * ${2 ** 64}; a = a - 64; }
    if (a >= 32) { r = r * ${2 ** 32}; a = a - 32; }
    if (a >= 16) { r = r * 65536; a = a - 16; }
    if (a >= 8) { r = r * 256; a = a - 8; }
    if (a >= 4) { r = r * 16; a = a - 4; }
    if (a >= 2) { r = r * 4; a = a - 2; }
    if (a >= 1) { r = r * 2; }
    if (n < 0) { return 1 / r; }
    return r;
  }`),
  // |x| = 2^e m with m near 1: 2^(y e) 2^(y log2 m), each product split so that nothing of y e is rounded
  // What is not 1 is 0 or Infinity to any power above 2^34.
  numbers(`function powOfPositive(x, power) {
    const y = Math.max(${-(2 ** 34)}, Math.min(power, ${2 ** 34}));
    const e = fnFloor(Math.log2(x) + 0.5);
    const near = e < -64 ? x * ${2 ** 64} : (e > 64 ? x * ${2 ** -64} : x);
    const m = near * twoTo(e < -64 ? -e - 64 : (e > 64 ? 64 - e : -e));
    const high = fnFloor(y * 256) * 0.00390625;
    const low = Math.abs(y) > 4096 ? 0 : y - high;
    const whole = Math.abs(y) > 4096 ? y * e : high * e;
    const n = fnFloor(whole + 0.5);
    const f = whole - n + low * e + y * (fnLog1p(m - 1) * ${Math.LOG2E});
    const k = fnFloor(f + 0.5);
    const scale = n + k;
    if (scale > 129) { return fnExp(100); }
    if (scale < -152) { return 0; }
    const half = fnFloor(scale * 0.5);
    return fnExp((f - k) * ${Math.LN2}) * twoTo(half) * twoTo(scale - half);
  }`),
  numbers(`function powOfWhole(x, n) {
    let r = 1.0;
    let b = x;
    let k = Math.abs(n);
    for (let i = 0; i < 6; i++) {
      const half = fnFloor(k * 0.5);
      if (k - 2 * half > 0) { r = r * b; }
      b = b * b;
      k = half;
    }
    if (n < 0) { return 1 / r; }
    return r;
  }`),
  numbers(`function fnPow(x, y) {
    if (y === 0 || x === 1) { return 1; }
    if (!(x === x)) { return x; }
    if (!(y === y)) { return y; }
    const a = Math.abs(x);
    if (fnReal(y) === 0) {
      if (a === 1) { return 1; }
      if ((a > 1 && y > 0) || (a < 1 && y < 0)) { return Math.abs(y); }
      return 0;
    }
    let whole = 0.0;
    let odd = 0.0;
    if (fnFloor(y) === y) { whole = 1; }
    if (whole > 0 && Math.abs(y) < 16777216 && y - 2 * fnFloor(y * 0.5) > 0) { odd = 1; }
    if (whole > 0 && Math.abs(y) < 64 && a > 0.001 && a < 1000 && (y > 0 || y * Math.log2(a) < 120)) { return powOfWhole(x, y); }
    let r = 0.0;
    if (a === 0) { if (y < 0) { r = 1 / a; } }
    else if (fnReal(a) === 0) { if (y > 0) { r = a; } }
    else if (x < 0 && whole === 0) { return fnNaN(x); }
    else { r = powOfPositive(a, y); }
    if (odd > 0 && (x < 0 || (a === 0 && 1 / x < 0))) { return -r; }
    return r;
  }`),
  // ---- hyperbolic functions
  numbers(`function fnTanh(x) {
    const a = Math.abs(x);
    if (a > 10) { return withSignOf(x, 1); }
    if (a < 0.0001) { return x; }
    const e = fnExpm1(2 * a);
    return withSignOf(x, e / (e + 2));
  }`),
  numbers(`function fnSinh(x) {
    const a = Math.abs(x);
    if (a < 0.0001) { return x; }
    if (a > 80) { const h = fnExp(a * 0.5); return withSignOf(x, 0.5 * h * h); }
    const e = fnExpm1(a);
    return withSignOf(x, 0.5 * (e + e / (e + 1)));
  }`),
  numbers(`function fnCosh(x) {
    const a = Math.abs(x);
    if (a > 80) { const h = fnExp(a * 0.5); return 0.5 * h * h; }
    const e = fnExp(a);
    return 0.5 * e + 0.5 / e;
  }`),
  numbers(`function fnAsinh(x) {
    const a = Math.abs(x);
    if (a < 0.0001) { return x; }
    if (a > 10000) { return withSignOf(x, plainLog(a) + ${Math.LN2}); }
    return withSignOf(x, fnLog1p(a + a * a / (1 + Math.sqrt(a * a + 1))));
  }`),
  numbers(`function fnAcosh(x) {
    if (x < 1) { return fnNaN(x); }
    if (x > 10000) { return plainLog(x) + ${Math.LN2}; }
    const t = x - 1;
    return fnLog1p(t + Math.sqrt(2 * t + t * t));
  }`),
  numbers(`function fnAtanh(x) {
    const a = Math.abs(x);
    if (a > 1) { return fnNaN(x); }
    if (a < 0.0001) { return x; }
    if (a === 1) { return x / (1 - a); }
    return withSignOf(x, 0.5 * fnLog1p(2 * a / (1 - a)));
  }`),
  // ---- trigonometric functions: x less the nearest multiple of pi / 2, in three parts (Cody and Waite 1980)
  numbers(`function quarter(x) { return fnFloor(x * ${2 / Math.PI} + 0.5); }`),
  // There is no digit left of what is beyond where floats are whole numbers.
  numbers(`function beyond(x, k) {
    if (Math.abs(x) > 8388608) { return 0; }
    return ((x - k * 1.5703125) - k * 0.000483751296997070312) - k * 0.0000000754978995489188216;
  }`),
  numbers(`function sinNear(r) {
    const z = r * r;
    return r + r * z * (${horner('z', [2.7557319e-6, -1.984127e-4, 8.3333333e-3, -1.6666667e-1])});
  }`),
  numbers(`function cosNear(r) {
    const z = r * r;
    return 1 - 0.5 * z + z * z * (${horner('z', [-2.7557319e-7, 2.4801587e-5, -1.3888889e-3, 4.1666667e-2])});
  }`),
  numbers(`function sinOfQuarter(r, k) {
    const q = k - 4 * fnFloor(k * 0.25);
    if (q < 0.5) { return sinNear(r); }
    if (q < 1.5) { return cosNear(r); }
    if (q < 2.5) { return -sinNear(r); }
    return -cosNear(r);
  }`),
  numbers(`function fnSin(x) {
    if (fnReal(x) === 0) { return fnNaN(x); }
    if (Math.abs(x) < 0.0001) { return x; }
    const k = quarter(x);
    return sinOfQuarter(beyond(x, k), k);
  }`),
  numbers(`function fnCos(x) {
    if (fnReal(x) === 0) { return fnNaN(x); }
    const k = quarter(x);
    return sinOfQuarter(beyond(x, k), k + 1);
  }`),
  numbers(`function fnTan(x) {
    if (fnReal(x) === 0) { return fnNaN(x); }
    if (Math.abs(x) < 0.0001) { return x; }
    if (Math.abs(x) > 8388608) { return 0; }
    const k = quarter(x);
    return sinOfQuarter(beyond(x, k), k) / sinOfQuarter(beyond(x, k), k + 1);
  }`),
  // Polynomials of asin and atan: Cephes (Moshier 1992), in single precision.
  numbers(`function asinNear(x) {
    const z = x * x;
    return x + x * z * (${horner('z', [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])});
  }`),
  numbers(`function fnAsin(x) {
    const a = Math.abs(x);
    if (a > 1) { return fnNaN(x); }
    if (a <= 0.5) { return asinNear(x); }
    return withSignOf(x, ${Math.PI / 2} - 2 * asinNear(Math.sqrt(0.5 * (1 - a))));
  }`),
  numbers(`function fnAcos(x) {
    if (Math.abs(x) > 1) { return fnNaN(x); }
    if (x > 0.5) { return 2 * asinNear(Math.sqrt(0.5 * (1 - x))); }
    if (x < -0.5) { return ${Math.PI} - 2 * asinNear(Math.sqrt(0.5 * (1 + x))); }
    return ${Math.PI / 2} - asinNear(x);
  }`),
  numbers(`function atanNear(t) {
    const z = t * t;
    return t + t * z * (${horner('z', [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])});
  }`),
  numbers(`function atanOfPositive(a) {
    if (a > 2.414213562373095) { return ${Math.PI / 2} - atanNear(1 / a); }
    if (a > 0.4142135623730950) { return ${Math.PI / 4} + atanNear((a - 1) / (a + 1)); }
    return atanNear(a);
  }`),
  numbers(
    `function fnAtan(x) { if (x === 0) { return x; } return withSignOf(x, atanOfPositive(Math.abs(x))); }`,
  ),
  numbers(
    `function isBelowZero(x) { if (x < 0) { return 1; } if (x === 0 && 1 / x < 0) { return 1; } return 0; }`,
  ),
  numbers(`function fnAtan2(y, x) {
    if (!(x === x)) { return x; }
    if (!(y === y)) { return y; }
    const p = Math.abs(y);
    const q = Math.abs(x);
    let a = 0.0;
    if (p === q) { if (p > 0) { a = ${Math.PI / 4}; } }
    else if (p < q) { a = atanOfPositive(p / q); }
    else { a = ${Math.PI / 2} - atanOfPositive(q / p); }
    if (isBelowZero(x) > 0) { a = ${Math.PI} - a; }
    if (isBelowZero(y) > 0) { return -a; }
    return a;
  }`),
  // ---- remainders and lengths
  numbers(`function fnFmod(x, y) {
    if (fnReal(x) === 0 || y === 0 || !(y === y)) { return fnNaN(x); }
    const a = Math.abs(x);
    const b = Math.abs(y);
    if (a < b) { return x; }
    if (fnReal(a / b) === 0) { return x * 0; }
    let r = a;
    for (let i = 0; i < 260; i++) {
      if (r < b) { break; }
      const e = fnFloor(Math.log2(r / b));
      let step = b * twoTo(e);
      if (step > r) { step = step * 0.5; }
      if (step < b) { step = b; }
      r = r - step;
    }
    if (r === 0) { return x * 0; }
    return withSignOf(x, r);
  }`),
  numbers(`function fnHypot(x, y) {
    const p = Math.abs(x);
    const q = Math.abs(y);
    const large = Math.max(p, q);
    if (p === p && fnReal(p) === 0) { return p; }
    if (q === q && fnReal(q) === 0) { return q; }
    if (!(p === p)) { return p; }
    if (!(q === q)) { return q; }
    if (large === 0) { return 0; }
    const s = Math.min(p, q) / large;
    return large * Math.sqrt(1 + s * s);
  }`),
  // ---- the error function and what is made of it. erfc for x > 0: Chebyshev fit, 1.2e-7 (Press et al. 1992, 6.2)
  numbers(`function erfNear(x) {
    const z = x * x;
    return x * (${horner(
      'z',
      [3628800 * 21, 362880 * 19, 40320 * 17, 5040 * 15, 720 * 13, 120 * 11, 24 * 9, 6 * 7, 2 * 5, 3, 1].map(
        (d, i) => ((i % 2 === 0 ? 1 : -1) * 2) / Math.sqrt(Math.PI) / d,
      ),
    )});
  }`),
  numbers(`function erfcAbove(x) {
    const t = 1 / (1 + 0.5 * x);
    const p = ${horner('t', [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223])};
    return t * fnExp(p - x * x);
  }`),
  numbers(`function fnErf(x) {
    const a = Math.abs(x);
    if (a < 1) { return erfNear(x); }
    if (a > 6) { return withSignOf(x, 1); }
    return withSignOf(x, 1 - erfcAbove(a));
  }`),
  numbers(`function fnErfc(x) {
    if (Math.abs(x) < 0.5) { return 1 - erfNear(x); }
    if (x > 12) { return 0; }
    if (x < -6) { return 2; }
    if (x < 0) { return 2 - erfcAbove(-x); }
    return erfcAbove(x);
  }`),
  numbers(`function fnGelu(x) {
    if (x > 10) { return x; }
    return 0.5 * x * fnErfc(x * ${-Math.SQRT1_2});
  }`),
  numbers(`function fnGeluSlope(x) {
    if (x > 10) { return 1; }
    return 0.5 * fnErfc(x * ${-Math.SQRT1_2}) + x * fnExp(-0.5 * x * x) * 0.3989422804014327;
  }`),
  numbers(
    `function geluGate(x) { return 1 / (1 + fnExp(-1.5957691216057308 * (x + 0.044715 * x * x * x))); }`,
  ),
  numbers(`function fnGeluTanh(x) {
    if (x > 22) { return x; }
    return x * geluGate(x);
  }`),
  numbers(`function fnGeluTanhSlope(x) {
    if (x > 22) { return 1; }
    if (x < -22) { return x * 0; }
    const s = geluGate(x);
    return s + x * s * (1 - s) * 1.5957691216057308 * (1 + 0.134145 * x * x);
  }`),
]

const BY_NAME: ReadonlyMap<string, DeviceFunction> = new Map([
  ...LIBRARY.map((f) => [f.name, f] as const),
  // A position that data holds, kept within [0, n).
  [
    'position',
    {
      name: 'position',
      source: `function position(v, n) { if (v < n) { if (v > 0) { return v; } return 0; } return n - 1; }`,
      argumentTypes: ['Number', 'Integer'],
      returnType: 'Integer',
    },
  ],
])

export function functionNamed(name: string): DeviceFunction | undefined {
  return BY_NAME.get(name)
}

const CALL = /\b(\w+)\(/g

/** How many statements a text runs in functions that it calls, and in those that these call. */
export function statementsCalledIn(text: string): number {
  let count = 0
  for (const [, name] of text.matchAll(CALL)) count += statementsOf(name!)
  return count
}

const COUNTS = new Map<string, number>()

function statementsOf(name: string): number {
  const source = BY_NAME.get(name)?.source
  if (source === undefined) return 0
  const known = COUNTS.get(name)
  if (known !== undefined) return known
  const body = source.slice(source.indexOf('{'))
  const count = (body.match(/;/g)?.length ?? 0) + statementsCalledIn(body)
  COUNTS.set(name, count)
  return count
}

/** The functions that a source calls, and those that these call. */
export function functionsIn(source: string): DeviceFunction[] {
  const found = new Set<DeviceFunction>()
  const look = (text: string): void => {
    for (const [, name] of text.matchAll(CALL)) {
      const called = BY_NAME.get(name!)
      if (called === undefined || found.has(called)) continue
      found.add(called)
      look(called.source)
    }
  }
  look(source)
  return [...found]
}
