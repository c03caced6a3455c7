import type { Device, Storage } from '../device.js'
import { I, withIntegers } from '../text.js'
import { array, inSteps, integer, launch, number } from './launch.js'

/** How many terms one run sums up at most; longer axes are cut into blocks of so many. */
const TERMS = 64

interface Line {
  readonly x: Storage
  readonly decay: Storage | undefined
  readonly outer: number
  readonly count: number
  readonly inner: number
}

/**
 * out[i] = decay[i] out[i - 1] + x[i] along the middle axis. Each block is summed from its own beginning, then gets
 * what the blocks before it come to, which is the same sum over the blocks.
 */
export function cumulate(device: Device, line: Line, reverse: boolean, initial: number): Storage {
  const { x, decay, outer, count, inner } = line
  const length = outer * count * inner
  const given = [array('x', x), ...(decay === undefined ? [] : [array('d', decay)])]
  const sizes = [integer('count', count), integer('inner', inner)]
  const key = `${decay === undefined ? 'sum' : 'decay'} ${reverse}`
  const digits = [
    ['o', `idiv(${I}, count * inner)`],
    ['j', `imod(${I}, inner)`],
    ['p', along(`idiv(${I} - o * count * inner, inner)`, reverse)],
    ['b', `idiv(p, ${TERMS})`],
  ] as const
  const at = (p: string): string => `(o * count + ${along(p, reverse)}) * inner + j`
  const own = launch(
    device,
    `cumulate ${key}`,
    [...given, ...sizes, number('initial', initial)],
    length,
    () =>
      withIntegers(
        digits,
        `let sum = 0.0;
      if (b === 0) { sum = initial; }
      for (let k = 0; k < ${TERMS}; k++) {
        ${withIntegers(
          [['q', `b * ${TERMS} + k`]],
          `if (q <= p) { sum = ${decay === undefined ? '' : `d[${at('q')}] * `}sum + x[${at('q')}]; }`,
        )}
      }
      return sum;`,
      ),
  )
  if (count <= TERMS) return own
  return inSteps(device, (keep) => {
    keep(own)
    const blocks = Math.ceil(count / TERMS)
    const ofBlocks = outer * blocks * inner
    const blockDigits = [
      ['o', `idiv(${I}, blocks * inner)`],
      ['j', `imod(${I}, inner)`],
      ['b', `idiv(${I} - o * blocks * inner, inner)`],
    ] as const
    const blocked = [...sizes, integer('blocks', blocks)]
    const lastOf = `lesser(b * ${TERMS} + ${TERMS - 1}, count - 1)`
    const ends = keep(
      launch(device, `ends of blocks ${reverse}`, [array('y', own), ...blocked], ofBlocks, () =>
        withIntegers(blockDigits, `return y[${at(lastOf)}];`),
      ),
    )
    const decays =
      decay === undefined
        ? undefined
        : keep(
            launch(device, `decays of blocks ${reverse}`, [array('d', decay), ...blocked], ofBlocks, () =>
              withIntegers(
                blockDigits,
                `let r = 1.0;
              for (let k = 0; k < ${TERMS}; k++) {
                ${withIntegers([['q', `b * ${TERMS} + k`]], `if (q < count) { r *= d[${at('q')}]; }`)}
              }
              return r;`,
              ),
            ),
          )
    const before = keep(cumulate(device, { x: ends, decay: decays, outer, count: blocks, inner }, false, 0))
    const args = [array('y', own), array('before', before), ...given.slice(1), ...blocked]
    return launch(device, `carry ${key}`, args, length, () =>
      withIntegers(
        digits,
        `if (b === 0) { return y[${I}]; }
        let r = 1.0;
        ${
          decay === undefined
            ? ''
            : `for (let k = 0; k < ${TERMS}; k++) {
                ${withIntegers([['q', `b * ${TERMS} + k`]], `if (q <= p) { r *= d[${at('q')}]; }`)}
              }`
        }
        return y[${I}] + r * before[(o * blocks + b - 1) * inner + j];`,
      ),
    )
  })
}

function along(p: string, reverse: boolean): string {
  return reverse ? `(count - 1 - ${p})` : p
}
