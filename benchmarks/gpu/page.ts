// The page: measures everything, then shows a table and a chart for each kind of case. `?quick` is for trying it out,
// `?only=matmul&max=512` measures one kind, up to a size; `?alone` leaves the other libraries out.
import { casesOf, type Compared, compare, overtakingOf, tableOf } from './compare.js'
import { type Contender, cpu, onGpu } from './contenders.js'
import { jax, tfjs } from './peers.js'

const query = new URLSearchParams(location.search)
const isQuick = query.has('quick')

const say = (text: string): void => {
  document.querySelector('#now')!.textContent = text
}

/** Those that can be had here, and why the others cannot. */
async function contenders(): Promise<{ found: Contender[]; missing: string[] }> {
  const found: Contender[] = [cpu]
  const missing: string[] = []
  const attempt = async (name: string, open: () => Promise<Contender>): Promise<void> => {
    try {
      found.push(await open())
    } catch (error) {
      missing.push(`${name}: ${String(error).split('\n')[0]}`)
    }
  }
  await attempt('gpu.js webgl2', () => onGpu('webgl2'))
  await attempt('gpu.js webgpu', () => onGpu('webgpu'))
  if (query.has('alone')) return { found, missing }
  const of = (mode: string): [adapter: string, isSoftware: boolean] => {
    const own = found.find(({ name }) => name === `gpu.js ${mode}`)
    return [own?.adapter ?? 'unknown', own?.isSoftware ?? false]
  }
  await attempt('tfjs webgl', async () =>
    tfjs((await import('@peers/tfjs')) as never, 'webgl', ...of('webgl2')),
  )
  await attempt('tfjs webgpu', async () => {
    const tf = (await import('@peers/tfjs')) as never
    await import('@peers/tfjs-webgpu')
    return tfjs(tf, 'webgpu', ...of('webgpu'))
  })
  await attempt('jax-js webgpu', async () => jax((await import('@peers/jax')) as never, ...of('webgpu')))
  return { found, missing }
}

async function main(): Promise<void> {
  const { found, missing } = await contenders()
  const results: Compared[] = []
  const only = query.get('only') ?? ''
  const max = Number(query.get('max') ?? Infinity)
  for (const what of casesOf(isQuick).filter(({ kind, size }) => kind.startsWith(only) && size <= max)) {
    say(`${what.name} …`)
    results.push(await compare(what, found, { rounds: isQuick ? 2 : 5, slice: isQuick ? 10 : 200 }))
    document.querySelector('#table')!.textContent = [...missing, tableOf(found, results)].join('\n')
  }
  const isSoftware = found.some((contender) => contender.isSoftware)
  document.querySelector('#charts')!.innerHTML = charts(found, results)
  say(isSoftware ? 'Done. This adapter computes on the CPU: the times say nothing about a GPU.' : 'Done.')
  Object.assign(globalThis, { benchmark: { missing, results, table: tableOf(found, results) } })
}

const COLOURS = ['#66727f', '#c4572f', '#2f6fc4', '#7aa53a', '#8a4fc4', '#c49a2f']
const WIDTH = 420
const HEIGHT = 260
const EDGE = 80

/** Time over size, both logarithmic; a ring where a line first comes below the CPU's. */
function charts(found: readonly Contender[], results: readonly Compared[]): string {
  const kinds = [...new Set(results.map(({ kind }) => kind))]
  const legend = found
    .map(
      ({ name, isSoftware }, i) =>
        `<span style="color:${COLOURS[i]}">■ ${name}${isSoftware ? ' (software)' : ''}</span>`,
    )
    .join(' &nbsp; ')
  const each = kinds.map((kind) =>
    chart(
      kind,
      found,
      results.filter((one) => one.kind === kind),
    ),
  )
  return `<p>${legend} &nbsp; ◯ overtakes the CPU</p>${each.join('')}`
}

function chart(kind: string, found: readonly Contender[], results: readonly Compared[]): string {
  const times = results.flatMap(({ timings }) => timings.flatMap(({ ms }) => (ms === undefined ? [] : [ms])))
  const scale = (values: readonly number[], from: number, to: number) => {
    const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))]
    return (value: number): number => from + ((to - from) * (Math.log(value) - low)) / (high - low || 1)
  }
  const x = scale(
    results.map(({ size }) => size),
    EDGE,
    WIDTH - 36,
  )
  const y = scale(times, HEIGHT - EDGE, 30)
  const lines = found.map(({ name }, i) => {
    const points = results.flatMap((result) => {
      const ms = result.timings.find(({ contender }) => contender === name)?.ms
      return ms === undefined ? [] : [[x(result.size), y(ms), result] as const]
    })
    const first = kind === 'read back' ? undefined : overtakingOf(name, results)
    const rings = points
      .filter(([, , result]) => result === first)
      .map(
        ([px, py]) =>
          `<circle cx="${px}" cy="${py}" r="8" fill="none" stroke="${COLOURS[i]}" stroke-width="2"/>`,
      )
      .join('')
    const dots = points
      .map(([px, py]) => `<circle cx="${px}" cy="${py}" r="3" fill="${COLOURS[i]}"/>`)
      .join('')
    return `<polyline fill="none" stroke="${COLOURS[i]}" stroke-width="2" points="${points.map(([px, py]) => `${px},${py}`).join(' ')}"/>${dots}${rings}`
  })
  const ticks = results.map(
    ({ size }) =>
      `<text x="${x(size)}" y="${HEIGHT - 20}" text-anchor="middle" font-size="11">${size.toLocaleString('en')}</text>`,
  )
  const sides = [Math.min(...times), Math.max(...times)].map(
    (ms) =>
      `<text x="${EDGE - 18}" y="${y(ms) + 4}" text-anchor="end" font-size="11">${ms.toPrecision(2)} ms</text>`,
  )
  const bottom = HEIGHT - EDGE + 16
  const axes = `<path d="M${EDGE - 12} 24V${bottom}H${WIDTH - 4}" fill="none" stroke="#99a"/>`
  const unit = `<text x="${WIDTH / 2}" y="${HEIGHT - 4}" text-anchor="middle" font-size="11">${unitOf(kind)}</text>`
  const title = `<text x="${EDGE}" y="16" font-weight="bold">${kind}</text>`
  return `<svg width="${WIDTH}" height="${HEIGHT}">${[title, axes, unit, ...lines, ...ticks, ...sides].join('')}</svg>`
}

/** What the sizes of a kind count. */
function unitOf(kind: string): string {
  if (kind.startsWith('step')) return 'batch'
  if (kind.startsWith('softmax')) return 'rows'
  return kind === 'matmul' ? 'side' : 'values'
}

void main().catch((error: unknown) => {
  say(String(error))
})
