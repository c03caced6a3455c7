import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { dense, input, type Model, model, plotModel, sequential, ValueError } from '@adjoint/layers'
import { describe, expect } from 'vitest'
import { layoutOf, type Wire } from '../../packages/layers/src/plot/layout.js'
import { drawingOf, holds, isInside, overlap } from '../support/drawing.js'
import { hostile, nested, penguins, shared, siamese, tangle, tiny } from '../support/models.js'
import { type Element, elementsOf, parseXml, textOf } from '../support/xml.js'

/** Every layer, those of models inside too. */
function layerNames(m: Model): string[] {
  return m.layers.flatMap((layer) => [
    m.nameOf(layer),
    ...('layers' in layer ? layerNames(layer as Model) : []),
  ])
}

describe.each([
  ['10-64-1', tiny],
  ['penguins', penguins],
  ['a shared layer', shared],
  ['models inside', siamese],
  ['models in models', nested],
  ['thirty layers with residuals', tangle],
  ['hostile names', hostile],
] as const)('the picture of %s', (_, make) => {
  const m = make()
  describe.each(['TB', 'LR'] as const)('%s', (rankDir) => {
    const svg = plotModel(m, { rankDir, expandNested: true, showDtype: true, showTrainable: true })
    const root = parseXml(svg)
    const { page, boxes, frames, lines } = drawingOf(root)

    test('is one SVG image with a title and a description, and nothing that runs', () => {
      expect(root.name).toBe('svg')
      expect(
        root.children
          .filter((x) => typeof x !== 'string')
          .map(({ name }) => name)
          .slice(0, 2),
      ).toEqual(['title', 'desc'])
      const names = new Set(['title', 'desc', 'style', 'rect', 'g', 'text', 'tspan', 'path', 'polygon'])
      const all = (function below(element): Element[] {
        return element.children.flatMap((x) => (typeof x === 'string' ? [] : [x, ...below(x)]))
      })(root)
      expect(all.filter(({ name }) => !names.has(name))).toEqual([])
      const keys = new Set(all.flatMap(({ attributes }) => Object.keys(attributes)))
      expect([...keys].filter((key) => /^on|href/.test(key))).toEqual([])
    })

    test('names every layer', () => {
      const titles = [...boxes, ...frames].map(({ title }) => title)
      for (const name of layerNames(m)) {
        const shown = name.replace(/\p{Cs}/gu, '\ufffd')
        expect(titles.some((title) => title.startsWith(shown) || title === `input ${shown}`)).toBe(true)
      }
    })

    test('has boxes that do not overlap, each on the page, and whole in or out of a frame', () => {
      expect([...boxes, ...frames].filter((rect) => !holds(page, rect))).toEqual([])
      expect(pairsOf(boxes).filter(([a, b]) => overlap(a, b))).toEqual([])
      expect(
        frames.flatMap((frame) => boxes.filter((box) => overlap(frame, box) && !holds(frame, box))),
      ).toEqual([])
      expect(pairsOf(frames).filter(([a, b]) => overlap(a, b) && !holds(a, b) && !holds(b, a))).toEqual([])
    })

    test('has its text inside of its boxes, where no other text and no arrow is', () => {
      for (const box of [...boxes, ...frames])
        expect(box.texts.filter((text) => !holds(box, text))).toEqual([])
      for (const { texts } of frames) {
        expect(pairsOf(texts).filter(([a, b]) => overlap(a, b))).toEqual([])
        expect(texts.filter((text) => boxes.some((box) => overlap(box, text)))).toEqual([])
        expect(
          texts.filter((text) => lines.some((line) => line.some((spot) => isInside(text, spot)))),
        ).toEqual([])
      }
    })

    test('has no arrow through a box', () => {
      expect(lines.length).toBeGreaterThan(0)
      const through = boxes.filter((box) => lines.some((line) => line.some((spot) => isInside(box, spot))))
      expect(through).toEqual([])
    })
  })
})

function pairsOf<T>(list: readonly T[]): [T, T][] {
  return list.flatMap((a, i) => list.slice(i + 1).map((b): [T, T] => [a, b]))
}

/** Items of any size with wires from earlier to later ones. */
const graphs = fc.integer({ min: 1, max: 24 }).chain((count) =>
  fc.record({
    items: fc.array(
      fc.record({ width: fc.integer({ min: 2, max: 300 }), height: fc.integer({ min: 0, max: 120 }) }),
      { minLength: count, maxLength: count },
    ),
    wires: fc.array(
      fc
        .tuple(fc.nat(count - 1), fc.nat(count - 1), fc.nat(2))
        .map(([a, b, output]): Wire => ({ from: Math.min(a, b), to: Math.max(a, b), output, input: 0 })),
      { maxLength: 60 },
    ),
  }),
)

test.prop([graphs], { numRuns: 300 })(
  'in any graph items do not overlap, and wires go down and around items',
  ({ items, wires: all }) => {
    const wires = all.filter(({ from, to }) => from < to)
    const { width, height, places, courses } = layoutOf(items, wires)
    const rects = places.map((place, i) => ({ ...place, ...items[i]! }))
    const page = { x: 0, y: 0, width, height }
    expect(rects.filter((rect) => !holds(page, rect))).toEqual([])
    expect(pairsOf(rects).filter(([a, b]) => overlap(a, b))).toEqual([])
    courses.forEach((course, w) => {
      const { from, to } = wires[w]!
      expect(course[0]!.y).toBe(rects[from]!.y + rects[from]!.height)
      expect(course.at(-1)!.y).toBe(rects[to]!.y)
      const others = rects.filter((_, i) => i !== from && i !== to)
      course.slice(1).forEach(({ x, y }, i) => {
        const before = course[i]!
        const isStraight = i % 2 === 0
        const beside = others.filter((rect) => rect.y < y - 1e-6 && rect.y + rect.height > before.y + 1e-6)
        if (y < before.y || (isStraight && x !== before.x)) expect.fail('a wire must go down')
        // Along a row it is straight, between items; where it bends there are none.
        expect(beside.filter((rect) => !isStraight || (x > rect.x && x < rect.x + rect.width))).toEqual([])
      })
    })
  },
)

describe('what a box tells', () => {
  const textsOf = (svg: string): string[] => elementsOf(parseXml(svg), 'text').map(textOf)

  test('is as much as is asked for', () => {
    expect(textsOf(plotModel(tiny()))).toEqual([
      'x',
      '(None, 10)',
      'Denserelu',
      'hidden',
      '(None, 64)',
      'Dense',
      'y',
      '(None, 1)',
    ])
    const bare = { showShapes: false, showLayerNames: false, showLayerActivations: false }
    expect(textsOf(plotModel(tiny(), bare))).toEqual(['x', 'Dense', 'Dense'])
    const m = tiny()
    m.getLayer('hidden').trainable = false
    expect(textsOf(plotModel(m, { ...bare, showDtype: true, showTrainable: true }))).toEqual([
      'x',
      'float32',
      'Dense',
      'float32',
      'frozen',
      'Dense',
      'float32',
      'trainable',
    ])
  })

  test('is which call of a shared layer it is', () => {
    expect(textsOf(plotModel(shared())).filter((text) => text.startsWith('call'))).toEqual([
      'call 1 of 2',
      'call 2 of 2',
    ])
  })

  test('is the key of an output, where there are several or it has one', () => {
    expect(textsOf(plotModel(penguins())).slice(-2)).toEqual(['species', 'bodyMass'])
  })

  test.prop([fc.string({ unit: 'binary', minLength: 1, maxLength: 30 })], { numRuns: 200 })(
    'may be any text',
    (name) => {
      const x = input({ shape: [1] })
      let named
      try {
        named = dense(1, { name })
      } catch {
        return // control characters are refused as names
      }
      const svg = plotModel(model({ inputs: x, outputs: named(x) }))
      expect(textOf(elementsOf(parseXml(svg), 'title').at(-1)!)).toBe(
        `${name.replace(/\p{Cs}|[\ufffe\uffff]/gu, '\ufffd')} (Dense)`,
      )
    },
  )
})

describe('as a Mermaid flowchart', () => {
  test('penguins', () => {
    expect(plotModel(penguins(), { format: 'mermaid' })).toMatchInlineSnapshot(`
      "flowchart TB
        n0(["measurements<br/>(None, 3)"])
        n1(["island<br/>(None, 1)"])
        n2(["sex<br/>(None, 1)"])
        n3["Normalization<br/>scale<br/>(None, 3)"]
        n4["StringLookup<br/>islands<br/>(None, 1)"]
        n5["Embedding<br/>island_vectors<br/>(None, 1, 3)"]
        n6["Flatten<br/>flatten<br/>(None, 3)"]
        n7["StringLookup<br/>sexes<br/>(None, 1)"]
        n8["CategoryEncoding<br/>one_hot<br/>(None, 4)"]
        n9["Concatenate<br/>concatenate<br/>(None, 10)"]
        n10["Dense (relu)<br/>trunk<br/>(None, 32)"]
        n11["Dense (softmax)<br/>species_head<br/>(None, 3)"]
        n12["Dense (relu)<br/>dense<br/>(None, 16)"]
        n13["Dense<br/>mass_head<br/>(None, 1)"]
        n14(["species"])
        n15(["bodyMass"])
        n0 --> n3
        n1 --> n4
        n4 --> n5
        n5 --> n6
        n2 --> n7
        n7 --> n8
        n3 --> n9
        n6 --> n9
        n8 --> n9
        n9 --> n10
        n10 --> n11
        n10 --> n12
        n12 --> n13
        n11 --> n14
        n13 --> n15
        classDef input fill:#e9f5ee,stroke:#3c8a5a,color:#1c2733
        class n0,n1,n2 input
        classDef output fill:#fdf1e2,stroke:#b8731a,color:#1c2733
        class n14,n15 output
        classDef plain fill:#f6f7f9,stroke:#8a94a3,color:#1c2733
        class n4,n6,n7,n8,n9 plain
        classDef trained fill:#e7f0fb,stroke:#4276b4,color:#1c2733
        class n5,n10,n11,n12,n13 trained
        classDef frozen fill:#eef1f6,stroke:#6a7a93,color:#1c2733,stroke-dasharray:5 3
        class n3 frozen
      "
    `)
  })

  test('models inside become subgraphs', () => {
    expect(plotModel(siamese(), { format: 'mermaid', expandNested: true, rankDir: 'LR' }))
      .toMatchInlineSnapshot(`
      "flowchart LR
        n0(["left<br/>(None, 4)"])
        n1(["right<br/>(None, 4)"])
        subgraph n2["Functional<br/>encoder<br/>call 1 of 2"]
          direction LR
          n3(["features<br/>(None, 4)"])
          n4["Dense (relu)<br/>hidden<br/>(None, 8)"]
          n5["Dropout<br/>drop<br/>(None, 8)"]
          n6["Dense<br/>code<br/>(None, 2)"]
        end
        subgraph n7["Functional<br/>encoder<br/>call 2 of 2"]
          direction LR
          n8(["features<br/>(None, 4)"])
          n9["Dense (relu)<br/>hidden<br/>(None, 8)"]
          n10["Dropout<br/>drop<br/>(None, 8)"]
          n11["Dense<br/>code<br/>(None, 2)"]
        end
        n12["Subtract<br/>difference<br/>(None, 2)"]
        subgraph n13["Sequential<br/>head"]
          direction LR
          n14(["input_layer<br/>(None, 2)"])
          n15["Dense<br/>first<br/>(None, 3)"]
          n16["Dense<br/>last<br/>(None, 1)"]
        end
        n17(["head"])
        n3 --> n4
        n4 --> n5
        n5 --> n6
        n8 --> n9
        n9 --> n10
        n10 --> n11
        n14 --> n15
        n15 --> n16
        n0 --> n3
        n1 --> n8
        n6 --> n12
        n11 --> n12
        n12 --> n14
        n16 --> n17
        classDef input fill:#e9f5ee,stroke:#3c8a5a,color:#1c2733
        class n0,n1,n3,n8,n14 input
        classDef output fill:#fdf1e2,stroke:#b8731a,color:#1c2733
        class n17 output
        classDef plain fill:#f6f7f9,stroke:#8a94a3,color:#1c2733
        class n5,n10,n12 plain
        classDef trained fill:#e7f0fb,stroke:#4276b4,color:#1c2733
        class n15,n16 trained
        classDef frozen fill:#eef1f6,stroke:#6a7a93,color:#1c2733,stroke-dasharray:5 3
        class n4,n6,n9,n11 frozen
      "
    `)
  })

  test('hostile names cannot leave their quotes', () => {
    const text = plotModel(hostile(), { format: 'mermaid' })
    expect(text).toMatchInlineSnapshot(`
      "flowchart TB
        n0(["#60;script#62;alert(#34;x#34;)#60;/script#62;<br/>(None, 2)"])
        n1(["#34;#93;#59;#37;#37;#123;init: #123;#125;#125;#37;#37; end#59; click n0 href #34;javascript:alert(1)#34;<br/>(None, 2)"])
        n2["Concatenate<br/>#93;#93;#62;#39;--#62;#60;#33;--<br/>(None, 4)"]
        n3["Dense<br/>日本語 🦆 #92;N #92;#34; #38;amp#59; #35;quot#59; #96;#42;#42;b#42;#42;#96;<br/>(None, 2)"]
        n4["Dense<br/>wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww<br/>(None, 1)"]
        n5(["#39; onload#61;#39;x"])
        n6(["� half a character"])
        n7([" "])
        n0 --> n2
        n1 --> n2
        n2 --> n3
        n3 --> n4
        n3 --> n5
        n4 --> n6
        n0 --> n7
        classDef input fill:#e9f5ee,stroke:#3c8a5a,color:#1c2733
        class n0,n1 input
        classDef output fill:#fdf1e2,stroke:#b8731a,color:#1c2733
        class n5,n6,n7 output
        classDef plain fill:#f6f7f9,stroke:#8a94a3,color:#1c2733
        class n2 plain
        classDef trained fill:#e7f0fb,stroke:#4276b4,color:#1c2733
        class n3,n4 trained
      "
    `)
    for (const line of text.split('\n').slice(1, -1))
      expect(line).toMatch(
        /^ {2}(n\d+(\(\["[^"<>`%{}\\]*(<br\/>[^"<>`%{}\\]*)*"\]\)|\["[^"<>`%{}\\]*(<br\/>[^"<>`%{}\\]*)*"\])|n\d+ --> n\d+|classDef \w+ [\w:#,\- ]+|class [n\d,]+ \w+)$/,
      )
  })
})

describe('in DOT', () => {
  test('penguins', () => {
    expect(plotModel(penguins(), { format: 'dot' })).toMatchInlineSnapshot(`
      "digraph "penguins" {
        graph [rankdir=TB, fontname="Helvetica", fontsize=11, color="#a9b3c0", labeljust=l];
        node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];
        edge [color="#66727f", arrowsize=0.7];
        n0 [label="measurements\\n(None, 3)", fillcolor="#e9f5ee", color="#3c8a5a"];
        n1 [label="island\\n(None, 1)", fillcolor="#e9f5ee", color="#3c8a5a"];
        n2 [label="sex\\n(None, 1)", fillcolor="#e9f5ee", color="#3c8a5a"];
        n3 [label="Normalization\\nscale\\n(None, 3)", fillcolor="#eef1f6", color="#6a7a93", style="rounded,filled,dashed"];
        n4 [label="StringLookup\\nislands\\n(None, 1)", fillcolor="#f6f7f9", color="#8a94a3"];
        n5 [label="Embedding\\nisland_vectors\\n(None, 1, 3)", fillcolor="#e7f0fb", color="#4276b4"];
        n6 [label="Flatten\\nflatten\\n(None, 3)", fillcolor="#f6f7f9", color="#8a94a3"];
        n7 [label="StringLookup\\nsexes\\n(None, 1)", fillcolor="#f6f7f9", color="#8a94a3"];
        n8 [label="CategoryEncoding\\none_hot\\n(None, 4)", fillcolor="#f6f7f9", color="#8a94a3"];
        n9 [label="Concatenate\\nconcatenate\\n(None, 10)", fillcolor="#f6f7f9", color="#8a94a3"];
        n10 [label="Dense (relu)\\ntrunk\\n(None, 32)", fillcolor="#e7f0fb", color="#4276b4"];
        n11 [label="Dense (softmax)\\nspecies_head\\n(None, 3)", fillcolor="#e7f0fb", color="#4276b4"];
        n12 [label="Dense (relu)\\ndense\\n(None, 16)", fillcolor="#e7f0fb", color="#4276b4"];
        n13 [label="Dense\\nmass_head\\n(None, 1)", fillcolor="#e7f0fb", color="#4276b4"];
        n14 [label="species", fillcolor="#fdf1e2", color="#b8731a"];
        n15 [label="bodyMass", fillcolor="#fdf1e2", color="#b8731a"];
        n0 -> n3;
        n1 -> n4;
        n4 -> n5;
        n5 -> n6;
        n2 -> n7;
        n7 -> n8;
        n3 -> n9;
        n6 -> n9;
        n8 -> n9;
        n9 -> n10;
        n10 -> n11;
        n10 -> n12;
        n12 -> n13;
        n11 -> n14;
        n13 -> n15;
      }
      "
    `)
  })

  test('models inside become clusters', () => {
    expect(plotModel(nested(), { format: 'dot', expandNested: true, showShapes: false }))
      .toMatchInlineSnapshot(`
      "digraph "nested" {
        graph [rankdir=TB, fontname="Helvetica", fontsize=11, color="#a9b3c0", labeljust=l];
        node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];
        edge [color="#66727f", arrowsize=0.7];
        n0 [label="x", fillcolor="#e9f5ee", color="#3c8a5a"];
        n1 [label="Dense (tanh)\\ndx", fillcolor="#e7f0fb", color="#4276b4"];
        subgraph cluster_n2 {
          label="Functional\\nouter";
          n3 [label="p", fillcolor="#e9f5ee", color="#3c8a5a"];
          n4 [label="q", fillcolor="#e9f5ee", color="#3c8a5a"];
          subgraph cluster_n5 {
            label="Functional\\ninner";
            n6 [label="a", fillcolor="#e9f5ee", color="#3c8a5a"];
            n7 [label="b", fillcolor="#e9f5ee", color="#3c8a5a"];
            n8 [label="Dense\\nda", fillcolor="#e7f0fb", color="#4276b4"];
            n9 [label="Dense\\ndb", fillcolor="#e7f0fb", color="#4276b4"];
            n10 [label="Add\\nadd", fillcolor="#f6f7f9", color="#8a94a3"];
          }
          n11 [label="Dense\\ndp", fillcolor="#e7f0fb", color="#4276b4"];
        }
        n12 [label="Multiply\\nmultiply", fillcolor="#f6f7f9", color="#8a94a3"];
        n13 [label="u", fillcolor="#fdf1e2", color="#b8731a"];
        n14 [label="v", fillcolor="#fdf1e2", color="#b8731a"];
        n15 [label="w", fillcolor="#fdf1e2", color="#b8731a"];
        n6 -> n8;
        n7 -> n9;
        n8 -> n10;
        n9 -> n10;
        n3 -> n6;
        n4 -> n7;
        n10 -> n11;
        n0 -> n1;
        n0 -> n3;
        n1 -> n4;
        n11 -> n12;
        n11 -> n12;
        n11 -> n13;
        n6 -> n14;
        n12 -> n15;
      }
      "
    `)
  })

  test('hostile names cannot leave their quotes', () => {
    const text = plotModel(hostile(), { format: 'dot' })
    expect(text).toMatchInlineSnapshot(`
      "digraph "</title><svg onload=\\"x\\">" {
        graph [rankdir=TB, fontname="Helvetica", fontsize=11, color="#a9b3c0", labeljust=l];
        node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];
        edge [color="#66727f", arrowsize=0.7];
        n0 [label="<script>alert(\\"x\\")</script>\\n(None, 2)", fillcolor="#e9f5ee", color="#3c8a5a"];
        n1 [label="\\"];%%{init: {}}%% end; click n0 href \\"javascript:alert(1)\\"\\n(None, 2)", fillcolor="#e9f5ee", color="#3c8a5a"];
        n2 [label="Concatenate\\n]]>'--><!--\\n(None, 4)", fillcolor="#f6f7f9", color="#8a94a3"];
        n3 [label="Dense\\n日本語 🦆 \\\\N \\\\\\" &amp;amp; #quot; \`**b**\`\\n(None, 2)", fillcolor="#e7f0fb", color="#4276b4"];
        n4 [label="Dense\\nwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\\n(None, 1)", fillcolor="#e7f0fb", color="#4276b4"];
        n5 [label="' onload='x", fillcolor="#fdf1e2", color="#b8731a"];
        n6 [label="� half a character", fillcolor="#fdf1e2", color="#b8731a"];
        n7 [label="", fillcolor="#fdf1e2", color="#b8731a"];
        n0 -> n2;
        n1 -> n2;
        n2 -> n3;
        n3 -> n4;
        n3 -> n5;
        n4 -> n6;
        n0 -> n7;
      }
      "
    `)
    // Without what is in quotes nothing but DOT's own words is left.
    const rest = text.replace(/"(?:[^"\\]|\\["\\n])*"/g, 'Q')
    expect(rest).not.toMatch(/["\\<]|script/)
  })
})

describe('in a file', () => {
  test('the ending says how', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'adjoint-plot-'))
    try {
      for (const [file, start] of [
        ['m.svg', '<svg '],
        ['m.mmd', 'flowchart TB\n'],
        ['m.dot', 'digraph "tiny" {'],
        ['m.GV', 'digraph "tiny" {'],
      ] as const) {
        const text = await plotModel(tiny(), { toFile: join(folder, file) })
        expect(readFileSync(join(folder, file), 'utf8')).toBe(text)
        expect(text.startsWith(start)).toBe(true)
      }
      expect(readdirSync(folder)).toHaveLength(4)
      await expect(plotModel(tiny(), { toFile: join(folder, 'none', 'm.svg') })).rejects.toThrow(
        'plotModel: cannot write',
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('says what is wrong', () => {
  test.each([
    [() => plotModel(tiny(), { toFile: 'm.png' }), 'toFile must end in .svg, .mmd, .dot or .gv, got "m.png"'],
    [() => plotModel(tiny(), { format: 'mermeid' as never }), 'Did you mean "mermaid"?'],
    [() => plotModel(tiny(), { showShape: true } as never), 'Did you mean "showShapes"?'],
    [() => plotModel(tiny(), { showShapes: 1 as never }), 'showShapes must be true or false, got 1'],
    [() => plotModel(dense(1) as never), 'plotModel: expected a model, got'],
  ])('%#', (f, message) => {
    expect(f).toThrow(ValueError)
    expect(f).toThrow(message)
  })

  test('of a model that has no inputs yet', () => {
    expect(() => plotModel(sequential([dense(1)]))).toThrow('its inputs are not known yet')
  })
})

test('a picture of 200 layers is drawn at once', () => {
  const m = tangle(200)
  const start = performance.now()
  plotModel(m)
  expect(performance.now() - start).toBeLessThan(10_000)
})
