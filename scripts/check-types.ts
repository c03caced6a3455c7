/** Compiles test/types against the built declarations, as a user's project would, with each supported TypeScript. */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const pathOf = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

function compile(compiler: string): Promise<string> {
  const args = [
    pathOf(`node_modules/${compiler}/bin/tsc`),
    '-p',
    pathOf('test/tsconfig.types.json'),
    '--pretty',
    'false',
  ]
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stdout + stderr, { cause: error }))
      else resolve(stdout)
    })
  })
}

function versionOf(compiler: string): string {
  const { version } = JSON.parse(readFileSync(pathOf(`node_modules/${compiler}/package.json`), 'utf8')) as {
    version: string
  }
  return version
}

const files = readdirSync(pathOf('test/types'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  /\.[cm]?ts$/.test(file),
)
if (files.length === 0) throw new Error('types: test/types has no files')

for (const compiler of ['typescript54', 'typescript59', 'typescript']) {
  const problem = await compile(compiler).then(
    () => '',
    (error: unknown) => String((error as Error).message),
  )
  console.log(
    `types: TypeScript ${versionOf(compiler)}: ${files.length} files, ${problem ? 'FAILED' : 'as they should be'}`,
  )
  if (problem) {
    console.error(problem)
    process.exitCode = 1
  }
}
