// npm run bench [-- --only b1,matmul] [--against tfjs-wasm,pytorch] [--quick] [--list] [--readme] [--gpu]
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Case, CASES } from './cases.js'
import { chart } from './chart.js'
import { type Competitor, OURS, PEERS } from './competitors.js'
import { benchGpu } from './gpu/node.js'
import { machine } from './machine.js'
import { measure, type Measured, type Pace } from './measure.js'
import { inUnit, isTimed, markdown, type Report, significant } from './report.js'

const THOROUGH: Pace = { rounds: 9, slice: 300, warmUp: 3000 }
const QUICK: Pace = { rounds: 3, slice: 100, warmUp: 1500 }

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    against: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    gpu: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
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
      const ratio =
        row.competitor === OURS.name
          ? ''
          : `ours is ${significant(row.cpuRatio)} times as fast (${significant(row.ratio)} by the clock)`
      return `  ${row.label.padEnd(20)} ${inUnit(measured, row.cpu).padEnd(16)} ${ratio}`
    })
  return [`${measured.case}: ${measured.what}`, ...rows, ''].join('\n')
}

const RESULTS = new URL('./results/', import.meta.url)
const LATEST = new URL('latest.json', RESULTS)
const README = new URL('README.md', import.meta.url)
const [BEGIN, END] = ['<!-- results -->', '<!-- /results -->']

/** What earlier runs found on this machine. */
function earlier(): Report | undefined {
  if (!existsSync(LATEST)) return undefined
  const report = JSON.parse(readFileSync(LATEST, 'utf8')) as Report
  return report.machine.cpu === machine().cpu && report.machine.node === machine().node ? report : undefined
}

/** The results so far, cases measured again in the place of what was known of them. */
function merged(measured: Measured, versions: readonly string[]): Report {
  const known = earlier()
  const all = new Map([...(known?.cases ?? []), measured].map((one) => [one.case, one]))
  return {
    machine: machine(),
    versions: [...new Set([...(known?.versions ?? []), ...versions])].toSorted(),
    cases: CASES.flatMap(({ name }) => all.get(name) ?? []),
  }
}

function write(report: Report): void {
  mkdirSync(RESULTS, { recursive: true })
  writeFileSync(LATEST, `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(new URL('latest.md', RESULTS), `${markdown(report)}\n`)
  writeFileSync(new URL('latest.svg', RESULTS), chart(report))
}

/** Puts the latest results into the README, in the format of the repository. */
function writeReadme(): void {
  const report = earlier()
  if (report === undefined)
    throw new Error('there are no results of this machine yet; run npm run bench first')
  const text = readFileSync(README, 'utf8')
  const [before, after] = [text.slice(0, text.indexOf(BEGIN)), text.slice(text.indexOf(END))]
  const short = markdown(report).split('### In full')[0]!.trim()
  writeFileSync(README, `${before}${BEGIN}\n\n${short}\n\n${after}`)
  spawnSync('npx', ['prettier', '--write', '--log-level', 'warn', fileURLToPath(README)], {
    stdio: 'inherit',
  })
}

async function main(cases: readonly Case[], competitors: readonly Competitor[], pace: Pace): Promise<void> {
  const versions = new Map<string, string>()
  for (const what of cases) {
    const measured = await measure(what, competitors, pace, versions)
    console.log(describe(measured))
    // After each case, so that a run that is stopped leaves what it found.
    write(merged(measured, [...versions.keys()]))
  }
  console.log(readFileSync(new URL('latest.md', RESULTS), 'utf8'))
  console.log('Written to benchmarks/results: latest.md, latest.json, latest.svg')
}

if (options.list) {
  for (const { name, what } of CASES) console.log(`${name.padEnd(17)} ${what}`)
  console.log(`\nagainst ${PEERS.map(({ name }) => name).join(', ')}`)
} else if (options.readme) {
  writeReadme()
} else if (options.gpu) await benchGpu(options.quick, options.only)
else {
  build()
  const competitors = [OURS, ...chosen(PEERS, options.against)]
  await main(chosen(CASES, options.only), competitors, options.quick ? QUICK : THOROUGH)
}
