import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import {
  adam,
  dense,
  type History,
  input,
  model,
  type Model,
  trainingReport,
  ValueError,
} from '@adjoint/layers'
import { beforeAll, describe, expect } from 'vitest'
import { type Curves, drawCurves } from '../../packages/layers/src/plot/curves.js'
import { epochScale, linearScale, logScale, numberText } from '../../packages/layers/src/plot/scale.js'
import type { Spot } from '../support/drawing.js'
import { hostile } from '../support/models.js'
import { type Element, elementsOf, parseXml, textOf } from '../support/xml.js'

const count = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i))
const epochs = (n: number): number[] => count(n, (i) => i)

/** The points of a panel's line for one series, in pixels; separate pieces separately. */
function piecesOf(panel: Element, which: string): Spot[][] {
  const path = elementsOf(panel, 'path').find(
    ({ attributes }) => attributes['class'] === which && attributes['fill'] === 'none',
  )
  return (path?.attributes['d'] ?? '')
    .split('M')
    .filter((piece) => piece !== '')
    .map((piece) =>
      piece.split('L').map((pair) => {
        const [x, y] = pair.split(' ').map(Number)
        return { x: x!, y: y! }
      }),
    )
}

function panelsOf(curves: Curves): Element[] {
  return elementsOf(parseXml(drawCurves(curves, 'Training')), 'g')
}

const textsOf = (element: Element): string[] => elementsOf(element, 'text').map(textOf)

describe('the curves of a training', () => {
  test('have a panel for each log, with its validation in it', () => {
    const panels = panelsOf({
      epoch: [0, 1],
      history: { loss: [2, 1], a_loss: [1, 0.5], val_loss: [3, 2], val_a_loss: [1, 1], val_alone: [1, 2] },
    })
    expect(panels.map((panel) => textOf(elementsOf(panel, 'title')[0]!))).toEqual(['loss', 'a_loss', 'alone'])
    expect(textsOf(panels[0]!)).toContain('training 1')
    expect(textsOf(panels[0]!)).toContain('validation 2')
    expect(piecesOf(panels[2]!, 'training')).toEqual([])
    expect(piecesOf(panels[2]!, 'validation')).toHaveLength(1)
  })

  test('show values at their places', () => {
    const [panel] = panelsOf({ epoch: epochs(3), history: { loss: [4, 2, 1] } })
    const [a, b, c] = piecesOf(panel!, 'training')[0] as [Spot, Spot, Spot]
    expect(b.x - a.x).toBeCloseTo(c.x - b.x, 5)
    expect((b.y - a.y) / (c.y - b.y)).toBeCloseTo(2, 1)
    expect(a.y).toBeLessThan(b.y)
  })

  test('of a loss that falls far have a logarithmic scale, on which equal factors are equal steps', () => {
    const [panel] = panelsOf({ epoch: epochs(3), history: { loss: [100, 1, 0.01] } })
    expect(textsOf(panel!)).toContain('log scale')
    const [a, b, c] = piecesOf(panel!, 'training')[0] as [Spot, Spot, Spot]
    expect(b.y - a.y).toBeCloseTo(c.y - b.y, 0)
    const shares = panelsOf({ epoch: epochs(2), history: { accuracy: [0.01, 0.9] } })
    expect(textsOf(shares[0]!)).not.toContain('log scale')
    const signs = panelsOf({ epoch: epochs(2), history: { loss: [100, -1] } })
    expect(textsOf(signs[0]!)).not.toContain('log scale')
  })

  test('have gaps where values are not finite, and dots for what stands alone', () => {
    const [panel] = panelsOf({
      epoch: epochs(7),
      history: { loss: [1, 2, NaN, 3, Infinity, 4, 5] },
    })
    expect(piecesOf(panel!, 'training').map((piece) => piece.length)).toEqual([2, 1, 2])
    expect(elementsOf(panel!, 'circle')).toHaveLength(1)
    const [none] = panelsOf({ epoch: epochs(2), history: { loss: [NaN, NaN] } })
    expect(textsOf(none!)).toContain('no finite values')
    expect(textsOf(none!)).toContain('training NaN')
  })

  test('of one epoch are dots', () => {
    const [panel] = panelsOf({ epoch: [0], history: { loss: [1], val_loss: [2] } })
    expect(elementsOf(panel!, 'circle').map(({ attributes }) => attributes['class'])).toEqual([
      'training dot',
      'validation dot',
    ])
  })

  test('ring the best epoch of the validation, small losses and large scores', () => {
    const panels = panelsOf({
      epoch: epochs(4),
      history: {
        loss: [4, 3, 2, 1],
        val_loss: [4, 2, 3, 4],
        accuracy: [0, 1, 2, 3],
        val_accuracy: [1, 2, 9, 3],
        mine: [1, 2, 3, 4],
        val_mine: [1, 2, 3, 4],
      },
    })
    const rings = panels.map((panel) =>
      elementsOf(panel, 'circle')
        .filter(({ attributes }) => attributes['class'] === 'best validation')
        .map((ring) => [Number(ring.attributes['cx']), textOf(ring)]),
    )
    const xs = piecesOf(panels[0]!, 'validation')[0]!.map(({ x }) => x)
    expect(rings).toEqual([[[xs[1], 'best: 2']], [[expect.any(Number), 'best: 9']], []])
  })

  test('of thousands of epochs keep their extremes and stay small', () => {
    const values = count(5000, (i) => (i === 2500 ? 100 : i === 2501 ? -100 : Math.sin(i)))
    const svg = drawCurves({ epoch: epochs(5000), history: { loss: values } }, 'Training')
    expect(svg.length).toBeLessThan(40_000)
    const [panel] = elementsOf(parseXml(svg), 'g')
    const ys = piecesOf(panel!, 'training')[0]!.map(({ y }) => y)
    const [low, high] = [Math.max(...ys), Math.min(...ys)]
    expect(low - high).toBeGreaterThan(120)
  })

  test('of nothing say so', () => {
    const svg = parseXml(drawCurves({ epoch: [], history: {} }, 'Training'))
    expect(textsOf(svg)).toEqual(['Training', 'There are no epochs to show.'])
  })

  const logs = fc.dictionary(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(fc.oneof(fc.double(), fc.constantFrom(0, 1, NaN, Infinity, 5e-324, 1.7e308)), {
      minLength: 1,
      maxLength: 8,
    }),
    { maxKeys: 5 },
  )
  test.prop([logs, fc.string({ unit: 'binary' })], { numRuns: 200 })(
    'are an image with finite places, whatever the logs are called and hold',
    (history, title) => {
      const svg = drawCurves({ epoch: epochs(8), history }, title)
      const root = parseXml(svg)
      expect(elementsOf(root, 'g').length).toBeLessThanOrEqual(Object.keys(history).length)
      expect(svg).not.toMatch(/="[^"]*(NaN|Infinity|undefined)[^"]*"/)
      const width = Number(root.attributes['width'])
      for (const panel of elementsOf(root, 'g'))
        for (const { x, y } of ['training', 'validation'].flatMap((which) => piecesOf(panel, which).flat()))
          if (!(x >= 0 && x <= width && y >= 0 && y <= Number(root.attributes['height'])))
            expect.fail(`a point at ${x}, ${y}`)
    },
  )
})

describe('a scale', () => {
  test.prop([fc.array(fc.double({ min: -1e12, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 9 })])(
    'holds all values, and has labels in order',
    (values) => {
      const scale = linearScale(values, 4)
      for (const value of values) {
        expect(scale.at(value)).toBeGreaterThanOrEqual(0)
        expect(scale.at(value)).toBeLessThanOrEqual(1)
      }
      expect(scale.ticks).toEqual(scale.ticks.toSorted((a, b) => a - b))
      expect(scale.ticks.length).toBeGreaterThan(0)
      expect(scale.ticks.length).toBeLessThan(12)
    },
  )

  test('is labelled with round numbers', () => {
    expect(linearScale([0.36, 0.99], 4).ticks).toEqual([0.4, 0.6, 0.8, 1])
    expect(logScale([0.02, 12]).ticks).toEqual([0.1, 1, 10])
    expect(logScale([0.2, 8]).ticks).toEqual([0.2, 0.5, 1, 2, 5])
    expect(epochScale(1, 40, 5).ticks).toEqual([1, 10, 20, 30, 40])
    expect(epochScale(1, 3, 5).ticks).toEqual([1, 2, 3])
    expect(epochScale(1, 1, 5).ticks).toEqual([1])
  })

  test('numbers are short', () => {
    expect([0, 0.123456, 12345.678, 1e-5, 1.25e9, -Infinity, NaN].map(numberText)).toEqual([
      '0',
      '0.1235',
      '12350',
      '1e-5',
      '1.25e9',
      '-∞',
      'NaN',
    ])
  })
})

describe('what fit returns', () => {
  let m: Model
  let history: History
  beforeAll(async () => {
    const x = input({ shape: [2], name: 'x' })
    m = model({
      inputs: x,
      outputs: { mass: dense(1)(x), kind: dense(2, { activation: 'softmax' })(x) },
      name: 'two <b>tasks</b>',
    })
    m.compile({
      optimizer: adam({ learningRate: 0.01, clipNorm: 1 }),
      loss: { mass: 'mse', kind: 'sparse_categorical_crossentropy' },
      lossWeights: { mass: 0.5 },
      metrics: { kind: 'accuracy' },
    })
    const rows = count(20, (i) => i)
    history = await m.fit(
      rows.map((i) => [i / 20, (i % 3) / 3]),
      { mass: rows.map((i) => [i / 10]), kind: rows.map((i) => i % 2) },
      { epochs: 3, batchSize: 5, verbose: 0, validationSplit: 0.2 },
    )
  })

  test('draws itself', async () => {
    const svg = parseXml(history.toSVG({ title: 'Two tasks' }))
    expect(textsOf(svg)[0]).toBe('Two tasks')
    expect(elementsOf(svg, 'g').map((panel) => textOf(elementsOf(panel, 'title')[0]!))).toEqual([
      'loss',
      'mass_loss',
      'kind_loss',
      'kind_accuracy',
    ])
    expect(textOf(elementsOf(svg, 'desc')[0]!)).toMatch(
      /^3 epochs\. loss: training from \S+ to \S+, validation/,
    )
    expect(JSON.parse(JSON.stringify(history))).toEqual({
      epoch: history.epoch,
      history: history.history,
      params: JSON.parse(JSON.stringify(history.params)),
    })
    const folder = mkdtempSync(join(tmpdir(), 'adjoint-curves-'))
    try {
      const text = await history.toSVG({ toFile: join(folder, 'curves.svg') })
      expect(readFileSync(join(folder, 'curves.svg'), 'utf8')).toBe(text)
    } finally {
      rmSync(folder, { recursive: true })
    }
    expect(() => history.toSVG({ tofile: 'a' } as never)).toThrow('Did you mean "toFile"?')
  })

  /** The page as XML, which it is but for its first line. */
  const pageOf = (html: string): Element => {
    expect(html.startsWith('<!doctype html>\n')).toBe(true)
    return parseXml(html.slice(html.indexOf('\n')))
  }
  const rowsOf = (element: Element): string[][] =>
    elementsOf(element, 'tr').map((row) =>
      row.children.map((cell) => (typeof cell === 'string' ? cell : textOf(cell))),
    )

  test('becomes a report with figures, curves, hyperparameters, graph and summary', () => {
    const page = pageOf(trainingReport(m, history))
    expect(elementsOf(page, 'h1').map(textOf)).toEqual(['Training of two <b>tasks</b>'])
    expect(elementsOf(page, 'h2').map(textOf)).toEqual([
      'Final figures',
      'Curves',
      'Hyperparameters',
      'Graph',
      'Summary',
    ])
    expect(elementsOf(page, 'svg').map(({ attributes }) => attributes['class'])).toEqual([
      'adjoint-curves',
      'adjoint-plot',
    ])
    const [figures, parameters] = elementsOf(page, 'table').map(rowsOf)
    const { loss, val_loss: validation } = history.history
    const best = validation!.indexOf(Math.min(...validation!))
    expect(figures![1]).toEqual([
      'loss',
      numberText(loss.at(-1)!),
      numberText(validation!.at(-1)!),
      numberText(validation![best]!),
      String(best + 1),
    ])
    expect(figures!.map(([name]) => name)).toEqual(['', 'loss', 'mass_loss', 'kind_loss', 'kind_accuracy'])
    expect(Object.fromEntries(parameters!.slice(1) as [string, string][])).toMatchObject({
      'epochs completed': '3',
      'batch size': '5',
      'steps per epoch': '4',
      optimizer: 'adam',
      'optimizer: learningRate': '0.01',
      'optimizer: clipNorm': '1',
      'mass: loss': 'mse',
      'mass: loss weight': '0.5',
      'kind: loss weight': '1',
      'kind: loss': 'sparse_categorical_crossentropy',
    })
    const lines: string[] = []
    m.summary({
      lineLength: 110,
      expandNested: true,
      showTrainable: true,
      printFn: (line) => lines.push(line),
    })
    expect(textOf(elementsOf(page, 'pre')[0]!)).toBe(lines.join('\n'))
    expect(textOf(page)).not.toContain('\ufffd')
  })

  test('a report takes a history read back, and one that holds nothing', () => {
    const again = JSON.parse(JSON.stringify(history)) as History
    expect(trainingReport(m, again)).toBe(trainingReport(m, history))
    expect(trainingReport(m, { epoch: [], history: {} })).toContain('There are no epochs to show.')
  })

  test('a report holds nothing that runs or is fetched, whatever things are called', () => {
    const html = trainingReport(
      hostile(),
      { epoch: [0], history: { '<script>': [1], '"><img src=x onerror=y>': [2] }, params: { epochs: 1 } },
      { title: '</title><script>alert(1)</script>' },
    )
    const page = pageOf(html)
    const all = (function below(element): Element[] {
      return element.children.flatMap((x) => (typeof x === 'string' ? [] : [x, ...below(x)]))
    })(page)
    expect(all.filter(({ name }) => /^(script|img|link|iframe|object|foreignObject|a)$/.test(name))).toEqual(
      [],
    )
    expect(
      all.flatMap(({ attributes }) => Object.keys(attributes)).filter((key) => /^on|href|^src/.test(key)),
    ).toEqual([])
    expect(html.match(/<script|<img/g)).toBe(null)
    expect(html).toContain("default-src 'none'")
  })

  test('a report says what it cannot be made of', () => {
    expect(() => trainingReport({} as never, history)).toThrow(ValueError)
    expect(() => trainingReport(m, [] as never)).toThrow('expected the history that fit returns')
    expect(() => trainingReport(m, history, { title: 1 as never })).toThrow('title must be a text')
  })
})
