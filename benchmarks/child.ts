import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Command, environment } from './competitors.js'
import type { Answer, Request } from './protocol.js'

/** Longest wait for one answer, in ms. */
const PATIENCE = 120_000
const STDERR_KEPT = 2000
const CHECKOUT = fileURLToPath(new URL('../', import.meta.url))

/** A competitor's process, asked one thing at a time. */
export class Child {
  readonly #process: ChildProcess
  #stderr = ''
  #answers: Answer[] = []
  #waiting: ((answer: Answer) => void) | undefined

  constructor({ file, args, env }: Command) {
    this.#process = spawn(file, args, { env: { ...environment(), ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT)
    })
    this.#process.on('error', (error) => this.#take({ type: 'failed', reason: error.message }))
    this.#process.on('close', (code, signal) =>
      this.#take({ type: 'failed', reason: `its process ended (${signal ?? code}): ${this.#lastWords()}` }),
    )
    this.#process.stdin!.on('error', () => {}) // 'close' tells.
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) this.#take(JSON.parse(line) as Answer)
    })
  }

  /** What it says unasked when it is loaded. */
  ready(): Promise<Answer> {
    return this.#next()
  }

  ask(request: Request): Promise<Answer> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`)
    return this.#next()
  }

  /** Lets it go; it ends when its stdin does. */
  end(): void {
    this.#process.stdin!.end()
    this.#process.kill()
  }

  #take(answer: Answer): void {
    if (this.#waiting === undefined) this.#answers.push(answer)
    else this.#waiting(answer)
    this.#waiting = undefined
  }

  #next(): Promise<Answer> {
    return new Promise((resolve) => {
      const answer = this.#answers.shift()
      if (answer !== undefined) {
        resolve(answer)
        return
      }
      const timer = setTimeout(() => {
        this.#process.kill('SIGKILL')
        this.#take({ type: 'failed', reason: `no answer within ${PATIENCE / 1000} s` })
      }, PATIENCE)
      this.#waiting = (given) => {
        clearTimeout(timer)
        resolve(given)
      }
    })
  }

  #lastWords(): string {
    const lines = this.#stderr.trim().split('\n')
    const words = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? ''
    // Reports are shared: where this checkout lies is nobody's business.
    return words.replaceAll(CHECKOUT, '')
  }
}
