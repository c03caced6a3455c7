// In a page: a compiled function on several threads, for test/core/threads-in-a-page.test.ts.
import { compile, matmul, random, setThreads } from '@adjoint/core'
import { pool } from '../../packages/core/src/threads/pool.js'

const a = random.normal([256, 256], { seed: 1 })
const f = compile(() => matmul(a, a).tanh().sum(0))

/** How many threads there were, whether numbers were always the same, and how many parts workers did. */
async function run(threads: number): Promise<{ threads: number; isSame: boolean; helped: number }> {
  setThreads(1)
  const one = String(f().dataSync())
  const found = setThreads(threads)
  let isSame = true
  for (let i = 0; i < 300 && (pool.helped < 20 || i < 5); i++) {
    isSame &&= String(f().dataSync()) === one
    await new Promise<void>((go) => {
      setTimeout(go, 10)
    })
  }
  return { threads: found, isSame, helped: pool.helped }
}

Object.assign(globalThis, { adjointPage: { run } })
