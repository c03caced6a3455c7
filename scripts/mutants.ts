/**
 * Plants the bugs of mutations.ts one at a time, each in a copy of this repository, and runs the tests of core on it.
 * Prints who caught what, and the score; fails below 90 %. Arguments: parts of file names or descriptions, to run
 * only those bugs; `--check` only looks whether all of them fit the source.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Mutation, mutations } from './mutations.js'

const LEAST_CAUGHT = 0.9
const WORKERS = Math.min(2, availableParallelism())
const root = fileURLToPath(new URL('..', import.meta.url))
const CORE = 'packages/core/src'
/** Milliseconds: longer than any list of test files takes on a busy machine; a bug may make a loop endless. */
const PATIENCE = 600_000

/** Test files in the order in which they find bugs fastest. Those of a list run together. The rest of test/core comes then. */
const STAGES = [
  ['transforms', 'tape', 'pytrees', 'slices', 'conventions', 'positions', 'vectors'],
  ['properties', 'laws', 'programs'],
]
const LAST = ['wasm', 'plan', 'accuracy']
/** What is run first for bugs in these folders. */
const NEAREST: Readonly<Record<string, readonly string[]>> = {
  'wasm/': ['wasm', 'special-values', 'plan'],
  'plan/': ['plan'],
}
/**
 * Some are about refusals, text and random bits, where nothing is planted; complexity and memory have limits on time
 * and bytes, which a busy machine breaks without a bug.
 */
const LEFT_OUT = ['fuzz', 'hostile', 'print', 'rng', 'complexity', 'memory']

interface Outcome {
  readonly mutation: Mutation
  /** The first test that failed, or undefined where none did. */
  readonly caughtBy: string | undefined
  readonly seconds: number
}

checkTable()
const wanted = process.argv.slice(2)
if (wanted.includes('--check')) {
  console.log(`mutants: ${mutations.length} bugs fit the source`)
  process.exit()
}
const chosen = mutations.filter(
  ({ file, what }) => wanted.length === 0 || wanted.some((w) => `${file} ${what}`.includes(w)),
)
const stages = testStages()
const folders: string[] = []
const running = new Set<ChildProcess>()
const removeCopies = (): void => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    removeCopies()
    process.exit(1)
  })
try {
  const start = performance.now()
  for (let i = 0; i < WORKERS; i++) folders.push(makeCopy())
  await checkTests()
  const outcomes = await runAll()
  report(outcomes, (performance.now() - start) / 1000)
} finally {
  removeCopies()
}

/** @throws Error unless the text of every mutation occurs exactly once. */
function checkTable(): void {
  const problems = mutations.flatMap(({ file, what, find, replace }) => {
    const count = readFileSync(join(root, CORE, file), 'utf8').split(find).length - 1
    if (find === replace) return [`${file}: ${what}: changes nothing`]
    return count === 1 ? [] : [`${file}: ${what}: its text occurs ${count} times: ${JSON.stringify(find)}`]
  })
  if (problems.length > 0)
    throw new Error(`mutants: mutations.ts does not fit the source any more:\n${problems.join('\n')}`)
}

/** Lists of test files, in order. */
function testStages(): string[][] {
  const names = readdirSync(join(root, 'test/core')).flatMap(
    (file) => /^(.+)\.test\.ts$/.exec(file)?.[1] ?? [],
  )
  const named = new Set([...STAGES.flat(), ...LAST, ...LEFT_OUT])
  const rest = names.filter((name) => !named.has(name))
  return [...STAGES, rest, LAST].map((stage) => stage.map(pathOf))
}

function pathOf(name: string): string {
  return `test/core/${name}.test.ts`
}

/** The lists for a bug in `file`, those nearest to it first. */
function stagesFor(file: string): readonly string[][] {
  const nearest = Object.entries(NEAREST).flatMap(([folder, names]) =>
    file.startsWith(folder) ? names.map(pathOf) : [],
  )
  const others = stages.map((stage) => stage.filter((path) => !nearest.includes(path)))
  return [nearest, ...others].filter((stage) => stage.length > 0)
}

/** The files that git knows or does not ignore, in a folder of their own, with the installed packages linked. */
function makeCopy(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'adjoint-mutants-')))
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  for (const path of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    cpSync(join(root, path), join(folder, path), { force: true })
  }
  for (const owner of ['.', 'test', 'packages/core']) linkPackages(owner, folder)
  return folder
}

/** Links what is installed; the packages of this repository to their copies. */
function linkPackages(owner: string, folder: string): void {
  const from = join(root, owner, 'node_modules')
  const to = join(folder, owner, 'node_modules')
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) {
    if (name.startsWith('.')) continue
    if (name !== '@adjoint') symlinkSync(realpathSync(join(from, name)), join(to, name))
    else {
      mkdirSync(join(to, name))
      for (const own of readdirSync(join(from, name)))
        symlinkSync(join(folder, 'packages', own), join(to, name, own))
    }
  }
}

/** Hands the items to the copies, one at a time to each. */
async function share<T>(
  items: readonly T[],
  work: (folder: string, item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const take = async (folder: string): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(folder, item)
  }
  await Promise.all(folders.map(take))
}

/** @throws Error unless all tests pass where no bug is planted. */
async function checkTests(): Promise<void> {
  const failures: string[] = []
  await share(stages, async (folder, files) => {
    const failure = await firstFailure(folder, files)
    if (failure !== undefined) failures.push(failure)
  })
  if (failures.length > 0)
    throw new Error(`mutants: tests fail without any bug planted:\n${failures.join('\n')}`)
}

async function runAll(): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  await share(chosen, async (folder, mutation) => {
    const outcome = await tryOut(folder, mutation)
    outcomes.push(outcome)
    const { caughtBy, seconds } = outcome
    console.log(
      `${caughtBy === undefined ? 'SURVIVED' : 'caught  '} ${seconds.toFixed(1).padStart(6)} s  ` +
        `${mutation.file}: ${mutation.what}${caughtBy === undefined ? '' : `  <- ${caughtBy}`}`,
    )
  })
  return outcomes
}

async function tryOut(folder: string, mutation: Mutation): Promise<Outcome> {
  const path = join(folder, CORE, mutation.file)
  const original = readFileSync(path, 'utf8')
  const start = performance.now()
  writeFileSync(
    path,
    original.replace(mutation.find, () => mutation.replace),
  )
  let caughtBy: string | undefined
  try {
    for (const files of stagesFor(mutation.file)) {
      caughtBy = await firstFailure(folder, files)
      if (caughtBy !== undefined) break
    }
  } finally {
    writeFileSync(path, original)
  }
  return { mutation, caughtBy, seconds: (performance.now() - start) / 1000 }
}

interface Results {
  readonly testResults: readonly {
    readonly name: string
    readonly message: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

/** The name of the first test that fails, or undefined. */
async function firstFailure(folder: string, files: readonly string[]): Promise<string | undefined> {
  const output = join(folder, 'results.json')
  rmSync(output, { force: true })
  const vitest = join(folder, 'node_modules/vitest/vitest.mjs')
  const flags = ['--bail=1', '--reporter=json', `--outputFile.json=${output}`, '--maxWorkers=1']
  const child = spawn(process.execPath, [vitest, 'run', ...files, ...flags], {
    cwd: folder,
    stdio: 'ignore',
    timeout: PATIENCE,
  })
  running.add(child)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', resolve)
  })
  running.delete(child)
  if (code === 0) return undefined
  let results: Results
  try {
    results = JSON.parse(readFileSync(output, 'utf8')) as Results
  } catch {
    return `${files[0]}: no result (exit code ${code})`
  }
  for (const { name, message, assertionResults } of results.testResults) {
    const file = relative(folder, name)
    const failed = assertionResults.find(({ status }) => status === 'failed')
    if (failed !== undefined) return `${file}: ${failed.fullName.trim()}`
    if (message !== '') return `${file}: ${message.split('\n')[0]}`
  }
  return `${files[0]}: exit code ${code}`
}

function report(outcomes: readonly Outcome[], seconds: number): void {
  const survivors = outcomes.filter(({ caughtBy }) => caughtBy === undefined)
  const caught = outcomes.length - survivors.length
  const score = caught / outcomes.length
  console.log(
    `mutants: ${caught} of ${outcomes.length} caught (${(100 * score).toFixed(1)} %) in ${(seconds / 60).toFixed(1)} min`,
  )
  for (const { mutation } of survivors) console.log(`  survived: ${mutation.file}: ${mutation.what}`)
  if (!(score >= LEAST_CAUGHT)) process.exitCode = 1
}
