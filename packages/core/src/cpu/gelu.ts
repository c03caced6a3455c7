import { polynomial } from './erf.js'
import { exp, expm1 } from '../math/engine.js'

// gelu and its derivative, in both forms, to 2 and 8 ulps. Written out plainly they lose digits twice: an exponential
// magnifies the rounding of its argument, and the derivative cancels around its root at -0.75. Phi is the normal
// distribution function, phi its density. Polynomials as in erf.ts.

interface Fit {
  readonly below: number
  readonly mid: number
  readonly half: number
  readonly p: readonly number[]
  /** The constant of the polynomial, which is most of it. */
  readonly top: number
}

/** (Phi(x) - 1/2) / x as a polynomial in (x² - mid) / mid, for |x| < 0.625. */
const SMALL: readonly number[] = [
  4.412615659939223e-15, -4.1019587751795056e-13, 3.3970823101356576e-11, -2.4716431057403594e-9,
  1.550971328335354e-7, -8.200485580686426e-6, 0.00035490373227707345, -0.012251360482042777,
  0.3863276580983708,
]
const SMALL_MID = 0.1953125

/** a exp(a²/2) Phi(-a) as a polynomial in (a - mid) / half, up to `below`. */
const TAILS: readonly Fit[] = [
  {
    below: 1.25,
    mid: 0.9375,
    half: 0.3125,
    p: [
      1.037370783890876e-13, -1.3316507999608625e-12, 1.6113605341298236e-11, -1.9122225793402698e-10,
      2.1719322447150817e-9, -2.349073276835899e-8, 2.405664218041231e-7, -2.315300741147351e-6,
      2.0734031496197372e-5, -0.00017037847714731358, 0.0012581742752297389, -0.008064918937186397,
      0.04189724703107817,
    ],
    top: 0.2535116399380258,
  },
  {
    below: 2,
    mid: 1.625,
    half: 0.375,
    p: [
      1.2065990169616361e-13, -1.4124125470146132e-12, 1.556539025212341e-11, -1.6956682625594202e-10,
      1.7753278566918031e-9, -1.7779142133967438e-8, 1.694787741171484e-7, -1.527611568452333e-6,
      1.2905080270077643e-5, -0.00010091675715138415, 0.0007169225969071078, -0.004482889259136758,
      0.023146801460185537,
    ],
    top: 0.3169125536171684,
  },
  {
    below: 3.5,
    mid: 2.75,
    half: 0.75,
    p: [
      -1.1275750828985294e-13, 8.230062500091996e-13, -5.3887022026143e-12, 3.731235699727953e-11,
      -2.5230453511517377e-10, 1.652368409715221e-9, -1.0487128869994713e-8, 6.433066506538057e-8,
      -3.800855552935968e-7, 2.1537231700232678e-6, -1.1639815333861391e-5, 5.955532373281062e-5,
      -0.0002854396254957096, 0.00126079409246178, -0.004989528423579697, 0.016679448475280474,
    ],
    top: 0.3594930187770546,
  },
]

/** The same as a polynomial in (1 / a² - mid) / half. */
const FAR_TAILS: readonly Fit[] = [
  {
    below: 7,
    mid: 0.05102040816326531,
    half: 0.030612244897959183,
    p: [
      9.426444779918838e-14, -3.4389857691902864e-13, 8.865657934243892e-13, -3.494703382072412e-12,
      1.4925682807938756e-11, -6.257638944873753e-11, 2.726807338833054e-10, -1.2488556410386386e-9,
      6.039253709592009e-9, -3.113289735465387e-8, 1.7333472619383052e-7, -1.0612568503328027e-6,
      7.33709884443361e-6, -5.9726238918001957e-5, 0.000616415801374983, -0.009462349738971015,
    ],
    top: 0.3811072748380898,
  },
  {
    below: 40,
    mid: 0.01051658163265306,
    half: 0.009891581632653062,
    p: [
      7.764842906420287e-15, -4.9572733581349975e-14, 3.129843803181034e-13, -2.3255106065314135e-12,
      1.8836242676395838e-11, -1.6784621753523112e-10, 1.6771243520475064e-9, -1.9224717725616628e-8,
      2.611136046077515e-7, -4.414236402597214e-6, 0.00010098233334982836, -0.003715081592792707,
    ],
    top: 0.3948726471646823,
  },
]

/** A root as high + low, and the function divided by x - root as a polynomial in (x + 0.75) / 0.375. */
interface Root {
  readonly high: number
  readonly low: number
  readonly p: readonly number[]
}

/** The derivatives between -1.125 and -0.375. */
const ROOT: Root = {
  high: -0.7517915246935645,
  low: 1.4956759177009883e-17,
  p: [
    6.001082865704567e-13, 1.2921151171332066e-12, -5.981349641895387e-11, -2.3469572573082023e-10,
    4.725959119204413e-9, 2.7552748942055917e-8, -2.9009668210042186e-7, -2.3465961311710606e-6,
    1.254491639431668e-5, 0.0001443874548994814, -0.0002886679417982379, -0.006017702182672967,
    -0.002645536702144461, 0.1455820029612737, 0.43218955538054815,
  ],
}
const TANH_ROOT: Root = {
  high: -0.7524614220710163,
  low: 3.635560509207687e-17,
  p: [
    -5.856769594023886e-14, -3.7670992607425046e-13, 2.5954023531376348e-12, 1.7347259816789742e-11,
    -1.2187089961211626e-10, -7.304924000001607e-10, 6.78068429425778e-9, 3.915169534968285e-8,
    -3.603914355920196e-7, -2.5455133805922178e-6, 1.4514033083464227e-5, 0.0001465334091581735,
    -0.00032385404052550574, -0.0060173569917332465, -0.002337869688664848, 0.14528950409564165,
    0.4313538401592927,
  ],
}

function isNearRoot(x: number): boolean {
  return x >= -1.125 && x <= -0.375
}

function nearRoot(x: number, { high, low, p }: Root): number {
  return (x - high - low) * polynomial(p, (x + 0.75) / 0.375)
}

/** x Phi(x) */
export function gelu(x: number): number {
  if (x > 40) return x
  if (x > 0) return x + gelu(-x)
  if (x > -0.625) return x * (0.5 + x * polynomial(SMALL, (x * x - SMALL_MID) / SMALL_MID))
  if (x < -40) return belowAll(x)
  const { top, rest } = scaledTail(-x)
  return -timesExpOfMinusHalfSquare(top, rest, -x)
}

/** Phi(x) + x phi(x) */
export function geluSlope(x: number): number {
  if (x > 40) return 1
  if (x > 0) return 1 - geluSlope(-x)
  if (isNearRoot(x)) return nearRoot(x, ROOT)
  if (x < -40) return belowAll(x)
  if (x < -1) {
    const { top, rest } = scaledTail(-x)
    return timesExpOfMinusHalfSquare(x * DENSITY_AT_0 - (top + rest) / x, 0, -x)
  }
  return 0.5 + x * (polynomial(SMALL, (x * x - SMALL_MID) / SMALL_MID) + DENSITY_AT_0 * exp(-0.5 * x * x))
}
const DENSITY_AT_0 = 0.3989422804014327

/** What is left far below: nothing, but NaN at -Infinity, as -Infinity times 0 is. */
function belowAll(x: number): number {
  return x === -Infinity ? NaN : -0
}

/** a exp(a²/2) Phi(-a) for 0.625 <= a <= 40 (or NaN), as the sum of its largest term and the rest. */
function scaledTail(a: number): { readonly top: number; readonly rest: number } {
  for (const { below, mid, half, p, top } of TAILS) if (a < below) return fitted(p, top, (a - mid) / half)
  for (const { below, mid, half, p, top } of FAR_TAILS)
    if (a <= below) return fitted(p, top, (1 / (a * a) - mid) / half)
  return { top: NaN, rest: NaN }
}

function fitted(
  p: readonly number[],
  top: number,
  t: number,
): { readonly top: number; readonly rest: number } {
  return { top, rest: t * polynomial(p, t) }
}

/**
 * (y + rest) exp(-a²/2), rounded once where that matters: a² is split into an exact square and a small rest, since
 * rounding it would cost up to a² ulps, and so is the product of y.
 */
function timesExpOfMinusHalfSquare(y: number, rest: number, a: number): number {
  const high = Math.fround(a)
  const power = exp(-0.5 * high * high)
  const nearly = y * power
  if (nearly === 0) return nearly
  const more = rest * power
  const bend = (nearly + more) * expm1(-0.5 * (a - high) * (a + high))
  return nearly + (more + (restOfProduct(y, power, nearly) + bend))
}

/** x / (1 + exp(-2u)) = x (1 + tanh(u)) / 2, u = √(2/π) (x + 0.044715 x³) */
export function geluTanh(x: number): number {
  if (x > 22) return x
  if (x < -22) return belowAll(x)
  return x / (1 + expOfMinusTwoU(x))
}

/** s (1 + x (1 - s) 2u') with s = 1 / (1 + exp(-2u)) */
export function geluTanhSlope(x: number): number {
  if (x > 22) return 1
  if (x > 0) return 1 - geluTanhSlope(-x)
  if (isNearRoot(x)) return nearRoot(x, TANH_ROOT)
  if (x < -22) return belowAll(x)
  const e = expOfMinusTwoU(x)
  if (e === Infinity) return -0
  return (1 + x * (e / (1 + e)) * TWO_K * (1 + 3 * CUBE * x * x)) / (1 + e)
}

/** 2 √(2/π) and 0.044715, with what their rounding leaves out. */
const TWO_K = 1.5957691216057308
const TWO_K_REST = -9.96930880911092e-17
const CUBE = 0.044715
const CUBE_REST = 2.1960211427085595e-18

/** exp(-2u), with 2u = 2k x (1 + c x²) to twice the precision. */
function expOfMinusTwoU(x: number): number {
  const square = x * x
  const cx2 = CUBE * square
  const cx2Rest = restOfProduct(CUBE, square, cx2) + CUBE * restOfProduct(x, x, square) + CUBE_REST * square
  const t = 1 + cx2
  const one = t - cx2
  const tRest = 1 - one + (cx2 - (t - one)) + cx2Rest
  const kx = TWO_K * x
  const kxRest = restOfProduct(TWO_K, x, kx) + TWO_K_REST * x
  const w = kx * t
  const wRest = restOfProduct(kx, t, w) + kx * tRest + kxRest * t
  const nearly = exp(-w)
  return nearly === Infinity ? nearly : nearly - nearly * wRest
}

/** x * y - product, where product is x * y rounded (Dekker 1971). */
function restOfProduct(x: number, y: number, product: number): number {
  const sx = x * 134217729
  const xHigh = sx - (sx - x)
  const xLow = x - xHigh
  const sy = y * 134217729
  const yHigh = sy - (sy - y)
  const yLow = y - yHigh
  return xLow * yLow - (product - xHigh * yHigh - xLow * yHigh - xHigh * yLow)
}
