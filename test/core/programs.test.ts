import { fc, test } from '@fast-check/vitest'
import * as core from '@adjoint/core'
import { setDeterminism, type Tensor, vjp } from '@adjoint/core'
import { type AnyRow, rows } from '@adjoint/core/extend'
import { arbitraries, checkGradients, type Program } from '@adjoint/core/testing'
import { runInThisContext } from 'node:vm'
import { describe, expect, vi } from 'vitest'
import * as ops from '../../packages/core/src/ops/index.js'
import { stepNames } from '../../packages/core/src/testing/steps.js'
import { dot, randomLike } from '../support/programs.js'

const arb = arbitraries(fc)

describe('a random program', () => {
  test.prop([arb.program()], { numRuns: 2000 })(
    'has the gradients that central differences find',
    (program) => {
      checkGradients(program.run, [...program.inputs])
    },
  )

  test.prop([arb.program()], { numRuns: 500 })('and the gradients of its gradients', (program) => {
    checkGradients(program.run, [...program.inputs], { order: 2 })
  })

  // The pullback u -> uJ is linear, so its own pullback is v -> Jv, wherever it is taken.
  test.prop([arb.program(), fc.nat()], { numRuns: 1000 })(
    'has a pullback that is the transpose of its own pullback: <Jv, u> = <v, uJ>',
    (program, seed) => {
      const xs = [...program.inputs]
      const [outs, pullback] = vjp(program.run, xs)
      const u = randomLike(outs, seed)
      const v = randomLike(xs, seed + 100)
      const uJ = pullback(u)
      const [, pushforward] = vjp(
        (...us: Tensor[]) => vjp(program.run, xs)[1](us),
        randomLike(outs, seed + 200),
      )
      const Jv = pushforward(v)
      const [left, right] = [dot(Jv, u), dot(v, uJ)]
      expect(Math.abs(left.value - right.value)).toBeLessThanOrEqual(
        ROUNDING * (left.scale + right.scale + 1),
      )
    },
  )

  test.prop([arb.program(), fc.nat()], { numRuns: 300 })(
    'has a symmetric Hessian: <u, Hv> = <v, Hu>',
    (program, seed) => {
      const xs = [...program.inputs]
      const c = randomLike(program.run(...xs), seed)
      const gradient = (...at: Tensor[]): Tensor[] => vjp(program.run, at)[1](c)
      const [, hessian] = vjp(gradient, xs)
      const [u, v] = [randomLike(xs, seed + 100), randomLike(xs, seed + 200)]
      const [left, right] = [dot(u, hessian(v)), dot(v, hessian(u))]
      expect(Math.abs(left.value - right.value)).toBeLessThanOrEqual(
        ROUNDING * (left.scale + right.scale + 1),
      )
    },
  )

  test.prop([arb.program()], { numRuns: 100 })('prints as code that makes it again', (program) => {
    const names = Object.keys(core)
    const source = `(core) => { const { ${names.join(', ')} } = core; ${String(program)}; return program(...inputs) }`
    // The code runs in this context: its tensors are ours.
    const made = (runInThisContext(source) as (from: typeof core) => Tensor[])(core)
    expect(made.map(String)).toEqual(program.run(...program.inputs).map(String))
    expect(made.map((x) => x.dataSync())).toEqual(program.run(...program.inputs).map((x) => x.dataSync()))
  })
})

/**
 * Inner products agree to rounding: programs have at most 12 steps of at most 64 elements, each of which may round
 * a few times, and amplify what was rounded before; 1e-9 of the terms' sizes is 4e6 roundings.
 */
const ROUNDING = 1e-9

describe('the steps of programs', () => {
  const operations = Object.entries(ops).flatMap(([name, op]) => (typeof op === 'function' ? [name] : []))
  const used = stepNames.map((name) => ({
    name,
    programs: fc.sample(arb.program({ ops: [name], maxSteps: 4 }), { numRuns: 60, seed: 1 }),
  }))

  test('exist for every exported op that has a gradient', () => {
    // Nothing flows through these; of the ops that are one elementwise row, the row says so itself.
    const withoutGradient = ['all', 'any', 'argMax', 'argMin', 'oneHot', 'stopGradient']
    const elementwise = Object.entries(ops).flatMap(([name, op]) =>
      typeof op === 'function' && 'row' in op ? [name] : [],
    )
    const expected = operations.filter(
      (name) => !withoutGradient.includes(name) && !(elementwise.includes(name) && !hasGradient(rowOf(name))),
    )
    expect([...stepNames].toSorted()).toEqual(expected.toSorted())
  })

  test('can all be taken', () => {
    const never = used.filter(
      ({ name, programs }) => !programs.some(({ calls }) => calls.some(({ op }) => op === name)),
    )
    expect(never.map(({ name }) => name)).toEqual([])
  })

  test('reach every row that has a gradient', () => {
    const reached = new Set<string>()
    for (const row of rows.values()) {
      // Its rules are asked for each gradient; what it infers may be known from before.
      const rules = (row.vjp ?? {}) as Record<string, ((...given: never[]) => unknown) | null>
      for (const [arg, rule] of Object.entries(rules))
        if (rule !== null)
          vi.spyOn(rules as Record<string, (...given: never[]) => unknown>, arg).mockImplementation(
            (...given) => {
              reached.add(row.name)
              return rule(...given)
            },
          )
    }
    // What ops make of their operands is remembered for each of these settings: here it is worked out anew.
    setDeterminism('portable')
    try {
      for (const { programs } of used)
        for (const program of programs.slice(0, 10)) differentiateTwice(program)
    } finally {
      setDeterminism('engine')
      vi.restoreAllMocks()
    }
    const missed = [...rows.values()].filter((row) => hasGradient(row) && !reached.has(row.name))
    // Second derivatives apply it; its own rule is asked for the third.
    expect(missed.map(({ name }) => name).filter((name) => name !== 'normalDensity')).toEqual([])
  })
})

function rowOf(name: string): AnyRow {
  return (ops as unknown as Record<string, { row: AnyRow }>)[name]!.row
}

function hasGradient({ vjp: rules }: AnyRow): boolean {
  return rules !== null && Object.values(rules).some((rule) => rule !== null)
}

function differentiateTwice(program: Program): void {
  const xs = [...program.inputs]
  const c = randomLike(program.run(...xs), 1)
  vjp((...at: Tensor[]) => vjp(program.run, at)[1](c), xs)[1](randomLike(xs, 2))
}
