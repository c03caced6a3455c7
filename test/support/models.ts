import {
  add,
  categoryEncoding,
  concatenate,
  dense,
  dropout,
  embedding,
  flatten,
  input,
  type Model,
  model,
  multiply,
  normalization,
  sequential,
  stringLookup,
  subtract,
  type SymbolicTensor,
} from '@adjoint/layers'

/** 10 - 64 - 1. */
export function tiny(): Model {
  const x = input({ shape: [10], name: 'x' })
  const hidden = dense(64, { activation: 'relu', name: 'hidden' })(x)
  return model({ inputs: x, outputs: dense(1, { name: 'y' })(hidden), name: 'tiny' })
}

/** Three inputs, two of them strings, and two outputs, as in examples/penguins.ts. */
export function penguins(): Model {
  const scale = normalization({ name: 'scale' })
  scale.adapt([
    [1, 2, 3],
    [2, 3, 5],
  ])
  const islands = stringLookup({ vocabulary: ['Biscoe', 'Dream', 'Torgersen'], name: 'islands' })
  const sexes = stringLookup({ vocabulary: ['female', 'male', 'unknown'], name: 'sexes' })
  const measurements = input({ shape: [3], name: 'measurements' })
  const island = input({ shape: [1], name: 'island', dtype: 'string' })
  const sex = input({ shape: [1], name: 'sex', dtype: 'string' })
  const features = concatenate([
    scale(measurements),
    flatten({ name: 'flatten' })(embedding(4, 3, { name: 'island_vectors' })(islands(island))),
    categoryEncoding({ numTokens: 4, name: 'one_hot', outputMode: 'one_hot' })(sexes(sex)),
  ])
  const trunk = dense(32, { activation: 'relu', name: 'trunk' })(features)
  return model({
    inputs: { measurements, island, sex },
    outputs: {
      species: dense(3, { activation: 'softmax', name: 'species_head' })(trunk),
      bodyMass: dense(1, { name: 'mass_head' })(dense(16, { activation: 'relu' })(trunk)),
    },
    name: 'penguins',
  })
}

/** A layer that is called on two inputs. */
export function shared(): Model {
  const first = input({ shape: [10], name: 'first' })
  const second = input({ shape: [10], name: 'second' })
  const both = dense(64, { activation: 'relu', name: 'both' })
  const joined = concatenate([both(first), both(second)])
  return model({
    inputs: [first, second],
    outputs: dense(1, { activation: 'sigmoid', name: 'same' })(joined),
  })
}

/** A frozen model that is called twice, and a sequential one behind it. */
export function siamese(): Model {
  const features = input({ shape: [4], name: 'features' })
  const hidden = dropout(0.5, { name: 'drop' })(dense(8, { activation: 'relu', name: 'hidden' })(features))
  const encoder = model({ inputs: features, outputs: dense(2, { name: 'code' })(hidden), name: 'encoder' })
  const head = sequential([dense(3, { name: 'first' }), dense(1, { name: 'last' })], { name: 'head' })
  const left = input({ shape: [4], name: 'left' })
  const right = input({ shape: [4], name: 'right' })
  const difference = subtract({ name: 'difference' })([encoder(left), encoder(right)])
  const m = model({ inputs: [left, right], outputs: head(difference), name: 'siamese' })
  encoder.trainable = false
  return m
}

/** A model in a model in a model, one of whose outputs is an input of it, and one output used twice by one layer. */
export function nested(): Model {
  const a = input({ shape: [3], name: 'a' })
  const b = input({ shape: [3], name: 'b' })
  const inner = model({
    inputs: [a, b],
    outputs: { sum: add([dense(4, { name: 'da' })(a), dense(4, { name: 'db' })(b)]), raw: a },
    name: 'inner',
  })
  const p = input({ shape: [3], name: 'p' })
  const q = input({ shape: [3], name: 'q' })
  const { sum, raw } = inner([p, q])
  const outer = model({ inputs: { p, q }, outputs: [dense(2, { name: 'dp' })(sum), raw], name: 'outer' })
  const x = input({ shape: [3], name: 'x' })
  const [u, v] = outer({ p: x, q: dense(3, { activation: 'tanh', name: 'dx' })(x) })
  return model({ inputs: x, outputs: { u, v, w: multiply([u, u]) }, name: 'nested' })
}

type Row = SymbolicTensor<readonly [8], 'float32'>

/** Thirty layers, each third of them followed by a sum with something far above. */
export function tangle(layers: number = 30): Model {
  const x = input({ shape: [8], name: 'x' })
  const all: Row[] = [x]
  let state = 5
  for (let i = 0; i < layers; i++) {
    state = (state * 48271) % 2147483647
    const last = all.at(-1)!
    const other = all[state % all.length]!
    const h = dense(8, { activation: 'relu' })(last)
    all.push(i % 3 === 0 ? h : add([h, other]))
  }
  const early = dense(1, { name: 'branch' })(all[7]!)
  return model({ inputs: x, outputs: [all.at(-1)!.named('end'), early.named('early')], name: 'tangle' })
}

const HOSTILE_NAMES = [
  '<script>alert("x")</script>',
  `"];%%{init: {}}%% end; click n0 href "javascript:alert(1)"`,
  "]]>'--><!--",
  '日本語 🦆 \\N \\" &amp; #quot; `**b**`',
  '</title><svg onload="x">',
  `' onload='x`,
  '\ud800 half a character',
  'w'.repeat(200),
] as const

/** Names that try to get out of where they stand, on every kind of box. */
export function hostile(): Model {
  const [first, second, joined, layer, name, key, half, long] = HOSTILE_NAMES
  const x = input({ shape: [2], name: first })
  const y = input({ shape: [2], name: second })
  const h = dense(2, { name: layer })(concatenate([x, y], { name: joined }))
  return model({
    inputs: [x, y],
    outputs: { [key]: h, [half]: dense(1, { name: long })(h), '': x },
    name,
  })
}
