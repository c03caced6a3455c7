import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Inputs, Prepared, Spent } from '../protocol.js'

/** What a process tells that has imported a library and made the first step of B1's model. */
interface Told extends Spent {
  readonly loss: number
}

/**
 * From the import of a library to the end of its first step, each in a process of its own, which runs plain JavaScript:
 * a loader of TypeScript would look at every module.
 */
export function firstStep(library: string, inputs: Inputs): Prepared {
  const script = fileURLToPath(new URL('first-step-child.mjs', import.meta.url))
  const given = JSON.stringify(
    Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, values }]) => [name, { shape, values: [...values] }]),
    ),
  )
  const start = (): Promise<Told> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [script, library], { stdio: ['pipe', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
      child.on('error', reject)
      child.on('close', (code) => {
        const line = text.split('\n').find((one) => one.startsWith('{'))
        if (line === undefined) reject(new Error(`its process ended (${code}) without a result`))
        else resolve(JSON.parse(line) as Told)
      })
      child.stdin.end(given)
    })
  return {
    results: async () => [(await start()).loss],
    async run(times) {
      const all: Told[] = []
      for (let i = 0; i < times; i++) all.push(await start())
      const sum = (kind: keyof Spent): number => all.reduce((total, told) => total + told[kind], 0)
      return { wall: sum('wall'), cpu: sum('cpu') }
    },
  }
}
