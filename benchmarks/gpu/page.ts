// The page: measures everything and shows how far it is. `?quick` is for trying it out, `?only=matmul,b4&max=512`
// measures some kinds, up to a size; `?alone` leaves the other libraries out.
import type { Jax } from '../peers/jax-steps.js'
import { casesOf } from './cases.js'
import { escaped, sectionOf } from './chart.js'
import { type Compared, compare } from './compare.js'
import { openAll } from './open.js'
import { reportOf, shown } from './report.js'
import type { Tf } from './tfjs.js'

const query = new URLSearchParams(location.search)
const isQuick = query.has('quick')

function element<E extends HTMLElement>(selector: string): E {
  const found = document.querySelector<E>(selector)
  if (found === null) throw new Error(`the page has no ${selector}`)
  return found
}

const say = async (text: string): Promise<void> => {
  element('#now').textContent = text
  // Lets the page be drawn.
  await new Promise((resolve) => {
    setTimeout(resolve)
  })
}

const PEERS = {
  async tfjs(): Promise<Tf> {
    const tf = (await import('@peers/tfjs')) as never
    await import('@peers/tfjs-webgpu')
    return tf
  },
  jax: async (): Promise<Jax> => (await import('@peers/jax')) as never,
}

/** The browser and the day. */
function where(): string {
  const { userAgent, hardwareConcurrency } = navigator
  const browser = /(Firefox|Edg|Chrome|Version)\/\d+/.exec(userAgent)?.[0].replace('/', ' ') ?? userAgent
  const system = /\(([^)]*)\)/.exec(userAgent)?.[1] ?? ''
  return `${browser} (${system}), ${hardwareConcurrency} cores, ${new Date().toISOString().slice(0, 10)}`
}

async function main(): Promise<void> {
  const cases = casesOf({
    isQuick,
    only: query.get('only') ?? '',
    max: Number(query.get('max') ?? Infinity),
  })
  await say('Looking for adapters …')
  const { contenders, missing } = await openAll(['webgl2', 'webgpu'], query.has('alone') ? undefined : PEERS)
  const devices = new Map(contenders.map(({ device }) => [device.name, device]))
  element('#devices').innerHTML = [
    ...[...devices.values()].map(
      ({ name, adapter, isSoftware }) => `${name}: ${adapter}${isSoftware ? ' (software adapter)' : ''}`,
    ),
    ...missing.map((who) => `missing: ${who}`),
  ]
    .map((line) => `<li>${escaped(line)}</li>`)
    .join('')
  if (contenders.some(({ device }) => device.isSoftware)) {
    element('h1').textContent += ', on a software adapter'
    element('#adapter').textContent =
      'What is called GPU here computes on the CPU: these times say nothing about a GPU.'
  }

  const progress = element<HTMLProgressElement>('progress')
  progress.max = cases.length
  const results: Compared[] = []
  const start = performance.now()
  const minutes = (): string => ((performance.now() - start) / 60_000).toFixed(1)
  for (const what of cases) {
    const at = `${results.length + 1} of ${cases.length}: ${what.kind} ${shown(what.size)}`
    const pace = { rounds: isQuick ? 2 : 5, slice: isQuick ? 10 : 100 }
    const tell = (who: string): Promise<void> => say(`${at}: ${who} (${minutes()} min so far)`)
    results.push(await compare(what, contenders, pace, tell))
    progress.value = results.length
    element('#kinds').innerHTML = [...new Set(results.map(({ kind }) => kind))]
      .map((kind) =>
        sectionOf(
          kind,
          contenders,
          results.filter((result) => result.kind === kind),
        ),
      )
      .join('')
    element('#report').textContent = reportOf(where(), contenders, missing, results)
    element('details').hidden = false
  }
  await say(`Done: ${cases.length} cases in ${minutes()} min.`)
  Object.assign(globalThis, { benchmark: { missing, report: element('#report').textContent } })
}

element('button').addEventListener('click', () => {
  void navigator.clipboard.writeText(element('#report').textContent)
})
void main().catch((error: unknown) => say(String(error)))
