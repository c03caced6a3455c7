import { describe, expect, test } from 'vitest'
import {
  epochHeader,
  plainLine,
  progressLine,
  ProgressBar,
  type Progress,
  type ProgressBarOptions,
} from '../../packages/layers/src/progress.js'

const finished: Progress = {
  current: 25,
  target: 25,
  values: [
    ['accuracy', 0.5],
    ['loss', Math.LN2],
  ],
  elapsedSeconds: 0.05,
  finished: true,
}

test('a finished epoch reads as in Keras', () => {
  expect(epochHeader(1, 10)).toBe('Epoch 1/10')
  expect(progressLine(finished)).toBe(
    '25/25 ━━━━━━━━━━━━━━━━━━━━ 0s 2ms/step - accuracy: 0.5000 - loss: 0.6931',
  )
  expect(plainLine({ ...finished, values: [['loss', Math.LN2]] })).toBe(
    '25/25 - 0s - 2ms/step - loss: 0.6931',
  )
})

test('a running epoch shows what is done and the time that remains', () => {
  const running: Progress = { ...finished, current: 5, finished: false, elapsedSeconds: 2.5, values: [] }
  expect(progressLine(running)).toBe(' 5/25 ━━━━──────────────── 10s 500ms/step')
  expect(progressLine({ ...running, width: 5 })).toBe(' 5/25 ━──── 10s 500ms/step')
  expect(progressLine({ ...running, secondsPerStep: 0.25 })).toBe(' 5/25 ━━━━──────────────── 5s 250ms/step')
  expect(progressLine({ ...running, current: 0 })).toBe(' 0/25 ──────────────────── 0s 0s/step')
})

test('colours are those of Keras, when asked for', () => {
  const running: Progress = { ...finished, current: 5, finished: false, elapsedSeconds: 2.5, values: [] }
  expect(progressLine({ ...running, color: true, width: 5 })).toBe(
    '\x1b[1m 5/25\x1b[0m \x1b[32m━\x1b[0m\x1b[37m━━━━\x1b[0m \x1b[1m10s\x1b[0m 500ms/step',
  )
})

test('without a target the steps are counted, until the end tells how many there were', () => {
  const open: Progress = {
    ...finished,
    target: null,
    current: 7,
    elapsedSeconds: 14,
    finished: false,
    values: [],
  }
  expect(progressLine(open)).toBe('      7/Unknown 14s 2s/step')
  expect(progressLine({ ...open, finished: true })).toBe('7/7 ━━━━━━━━━━━━━━━━━━━━ 14s 2s/step')
  expect(plainLine({ ...open, finished: true })).toBe('7/7 - 14s - 2s/step')
})

test.each([
  [0.00025, '250us/step'],
  [0.0005, '500us/step'],
  [0.0125, '12ms/step'], // 12.5: Python rounds a half to even
  [0.9994, '999ms/step'],
  [1, '1s/step'],
  [90, '90s/step'],
])('%f seconds per step are %s', (secondsPerStep, text) =>
  expect(progressLine({ ...finished, values: [], secondsPerStep })).toMatch(new RegExp(` ${text}$`)),
)

test.each([
  [60, '60s'],
  [61, '1:01'],
  [3600, '60:00'],
  [3725.9, '1:02:05'],
])('%f seconds to go are %s', (seconds, text) => {
  const line = progressLine({ ...finished, current: 1, target: 2, secondsPerStep: seconds, finished: false })
  expect(line.split(' ')[2]).toBe(text)
})

test.each([
  [12345.678949, '12345.6789'],
  [0.15625, '0.1562'],
  [-0.5, '-0.5000'],
  [0.0011, '0.0011'],
  [0.001, '1.0000e-03'],
  [-0.00025, '-2.5000e-04'],
  [1e-12, '1.0000e-12'],
  [0, '0.0000e+00'],
  [Number.NaN, 'nan'],
  [Infinity, 'inf'],
])('the value %d is written %s', (value, text) =>
  expect(plainLine({ ...finished, values: [['x', value]] })).toBe(`25/25 - 0s - 2ms/step - x: ${text}`),
)

describe('ProgressBar', () => {
  /** A bar on a clock that stands still unless it is set. */
  function drawn(options: Partial<ProgressBarOptions> = {}) {
    const writes: string[] = []
    const time = { ms: 5000 }
    const bar = new ProgressBar({
      target: 100,
      write: (text) => void writes.push(text),
      now: () => time.ms,
      ...options,
    })
    return { bar, writes, time }
  }

  /** What a terminal shows after `text`: each \r starts the line over. */
  function screen(text: string): string[] {
    return text
      .split('\n')
      .map((line) => line.split('\r').reduce((shown, next) => next + shown.slice(next.length), ''))
  }

  test('draws the first step at once, then at most every 50 ms, and always the end', () => {
    const { bar, writes, time } = drawn()
    for (let step = 1; step <= 100; step++) {
      time.ms += 10
      bar.update(step)
    }
    expect(writes).toHaveLength(20)
    bar.finish()
    expect(writes.slice(20)).toEqual([expect.stringMatching(/^\r100\/100 ━{20} 1s 10ms\/step *$/), '\n'])
  })

  test('leaves the last state alone on its line, also when it is the shorter one', () => {
    const { bar, writes, time } = drawn({ target: 2 })
    time.ms += 100
    bar.update(1, [
      ['accuracy', 0.5],
      ['loss', 1],
    ])
    time.ms += 100
    bar.finish([['loss', 0.25]])
    const [line, rest] = screen(writes.join(''))
    expect(line?.trimEnd()).toBe('2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 100ms/step - loss: 0.2500')
    expect(rest).toBe('')
  })

  test('the time per step leaves out the first step, which also warms up', () => {
    const { bar, writes, time } = drawn({ target: 4 })
    time.ms += 9000
    bar.update(1)
    time.ms += 1000
    bar.update(2)
    time.ms += 3000
    bar.update(3)
    expect(writes.map((text) => text.trim())).toEqual([
      '1/4 ━━━━━─────────────── 27s 9s/step',
      '2/4 ━━━━━━━━━━────────── 2s 1s/step',
      '3/4 ━━━━━━━━━━━━━━━───── 2s 2s/step',
    ])
  })

  test('fits into the terminal while it runs: values that do not fit wait for the end', () => {
    const { bar, writes, time } = drawn({ target: 2, columns: 60 })
    const values = ['accuracy', 'loss', 'val_loss'].map((name): [string, number] => [name, 0.5])
    time.ms += 100
    bar.update(1, values)
    expect(writes).toEqual(['\r1/2 ━━━━━━━━━━────────── 0s 100ms/step - accuracy: 0.5000'])
    bar.finish(values)
    expect(writes[1]).toContain('- accuracy: 0.5000 - loss: 0.5000 - val_loss: 0.5000')
  })

  test('an epoch of unknown length ends with the steps there were', () => {
    const { bar, writes, time } = drawn({ target: null })
    time.ms += 1000
    bar.update(1)
    time.ms += 2000
    bar.update(2)
    bar.finish()
    expect(
      writes
        .join('')
        .split('\r')
        .map((text) => text.trim()),
    ).toEqual(['', '1/Unknown 1s 1s/step', '2/Unknown 3s 2s/step', '2/2 ━━━━━━━━━━━━━━━━━━━━ 3s 2s/step'])
  })

  test('an epoch without steps says so', () => {
    const { bar, writes } = drawn({ target: null })
    bar.finish()
    expect(writes.join('')).toBe('\r      0/Unknown 0s 0s/step\n')
  })
})
