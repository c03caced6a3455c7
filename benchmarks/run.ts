// npm run bench [-- --only b1,matmul] [--against tfjs-wasm,pytorch] [--quick] [--list]
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Case, CASES } from './cases.js'
import { chart } from './chart.js'
import { type Competitor, OURS, PEERS } from './competitors.js'
import { inUnit, isTimed, load, machine, markdown, type Report, significant } from './report.js'
import { measure, type Measured, type Pace } from './measure.js'

const THOROUGH: Pace = { rounds: 9, slice: 300, warmUp: 2000 }
const QUICK: Pace = { rounds: 3, slice: 100, warmUp: 500 }

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    against: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

/** The named ones, or all; `matmul`, which is no name, stands for matmul-32 and its like. */
function chosen<T extends { readonly name: string }>(all: readonly T[], names: string): readonly T[] {
  const wanted = names.split(',').filter((name) => name !== '')
  const isMeant = (name: string, by: string): boolean =>
    name === by || (name.startsWith(`${by}-`) && !all.some((other) => other.name === by))
  for (const by of wanted)
    if (!all.some(({ name }) => isMeant(name, by))) {
      console.error(`there is no ${by}; known are ${all.map(({ name }) => name).join(', ')}`)
      process.exit(2)
    }
  return wanted.length === 0 ? all : all.filter(({ name }) => wanted.some((by) => isMeant(name, by)))
}

/** What users install is the build, so that is measured. */
function build(): void {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

function describe(measured: Measured): string {
  const rows = measured.rows
    .filter((row) => row.status !== 'no program')
    .map((row) => {
      if (!isTimed(row)) return `  ${row.label.padEnd(20)} ${row.status}: ${row.reason}`
      const ratio = row.competitor === OURS.name ? '' : `ours is ${significant(row.ratio)} times as fast`
      const best = `best ${inUnit(measured, row.best)}`
      return `  ${row.label.padEnd(20)} ${inUnit(measured, row.median).padEnd(14)} ${best.padEnd(20)} ${ratio}`
    })
  return [`${measured.case}: ${measured.what}`, ...rows, ''].join('\n')
}

async function main(cases: readonly Case[], competitors: readonly Competitor[], pace: Pace): Promise<void> {
  const before = load()
  const versions = new Map<string, string>()
  const measured: Measured[] = []
  for (const what of cases) {
    const result = await measure(what, competitors, pace, versions)
    measured.push(result)
    console.log(describe(result))
  }
  const report: Report = {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    machine: machine(),
    load: { before, after: load() },
    versions: [...versions.keys()].toSorted(),
    pace,
    cases: measured,
  }
  const text = markdown(report)
  const results = new URL('./results/', import.meta.url)
  mkdirSync(results, { recursive: true })
  writeFileSync(new URL('latest.json', results), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(new URL('latest.md', results), `${text}\n`)
  writeFileSync(new URL('latest.svg', results), chart(report))
  console.log(text)
  console.log('\nWritten to benchmarks/results: latest.md, latest.json, latest.svg')
}

if (options.list) {
  for (const { name, what } of CASES) console.log(`${name.padEnd(17)} ${what}`)
  console.log(`\nagainst ${PEERS.map(({ name }) => name).join(', ')}`)
} else {
  build()
  const competitors = [OURS, ...chosen(PEERS, options.against)]
  await main(chosen(CASES, options.only), competitors, options.quick ? QUICK : THOROUGH)
}
