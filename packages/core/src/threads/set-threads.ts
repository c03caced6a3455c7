import { show, ValueError } from '../errors.js'
import { warn } from '../host.js'
import { hasThreads, pool } from './pool.js'

let hasWarned = false

/**
 * On how many threads plans compute: `fit`, `predict` and compiled functions run their large products and arrays on all of
 * them. The numbers do not depend on it. One unless set. Threads need memory that is shared: Node has it, browsers have it
 * for pages that are isolated from other origins. Where there is none, one warning says so and everything runs on one.
 * @returns how many threads there are now.
 * @throws ValueError for what is no whole number from 1 on.
 * @example setThreads(4)
 */
export function setThreads(count: number): number {
  if (!Number.isSafeInteger(count) || count < 1)
    throw new ValueError(`setThreads: expected a whole number of threads, 1 or more, got ${show(count)}`, {
      op: 'setThreads',
    })
  if (hasThreads) pool.resize(count)
  else if (count > 1 && !hasWarned) {
    hasWarned = true
    warn(
      'setThreads: threads need WebAssembly and memory that they can share, which is not to be had here, so everything ' +
        'runs on one thread. A page in a browser has to be isolated: serve it with Cross-Origin-Opener-Policy: ' +
        'same-origin and Cross-Origin-Embedder-Policy: require-corp',
    )
  }
  return pool.threads
}
