import {
  ASIDE,
  DONE,
  FAILED,
  FLAGS,
  IS_UP,
  KEPT,
  PART_BITS,
  PART_MASK,
  PER_WORKER,
  PLAN,
  SCRATCH,
  SENT,
  SLEEPING,
  STAGE,
  TICKET,
  WAITING,
  WORKERS,
} from './control.js'
import type { CompiledModule } from '../wasm/host.js'

/** What workers are told. The first message is `begin`. */
export type Message =
  | { readonly begin: { readonly memory: object; readonly control: number; readonly worker: number } }
  | { readonly plan: number; readonly module: CompiledModule }
  | { readonly forget: number }

/** How often a worker looks for work before it sleeps. */
const LOOKS = 10_000

/**
 * What a worker runs, as text: a file of its own would not find its way through bundlers. It takes parts of the work at
 * hand as long as there are any, spins for a while and then sleeps. It returns for messages, which come only between tasks.
 */
export const WORKER_SOURCE: string = `'use strict'
const port = typeof require === 'function' ? require('node:worker_threads').parentPort : self
const plans = new Map()
const ignore = () => {}
let memory, control, own, received = 0

port.onmessage = ({ data }) => {
  received++
  if (data.begin) {
    memory = data.begin.memory
    control = new Int32Array(memory.buffer, data.begin.control)
    own = ${WORKERS} + data.begin.worker * ${PER_WORKER}
    Atomics.store(control, own + ${IS_UP}, 1)
  } else if (data.module) {
    const env = { memory, host: ignore, fork: ignore }
    const code = { part: [], aside: [] }
    for (const [name, f] of Object.entries(new WebAssembly.Instance(data.module, { env }).exports)) {
      const [, kind, stage] = /^(part|aside)([0-9]+)$/.exec(name) ?? []
      if (kind) code[kind][stage] = f
    }
    plans.set(data.plan, code)
  } else plans.delete(data.forget)
  work()
}

function work() {
  let looks = 0
  while (Atomics.load(control, own + ${SENT}) === received) {
    const ticket = Atomics.load(control, ${TICKET})
    const next = ticket & ${PART_MASK}
    if (next < ((ticket >>> ${PART_BITS}) & ${PART_MASK})) {
      if (Atomics.compareExchange(control, ${TICKET}, ticket, ticket + 1) === ticket) take(ticket, next)
      looks = 0
    } else if (++looks > ${LOOKS}) {
      Atomics.add(control, ${SLEEPING}, 1)
      Atomics.wait(control, ${TICKET}, ticket)
      Atomics.sub(control, ${SLEEPING}, 1)
      looks = 0
    }
  }
}

function take(ticket, part) {
  try {
    const stage = control[${STAGE}]
    const code = plans.get(control[${PLAN}])
    const aside = code.aside[stage]
    if (aside) {
      aside(part, control[own + ${ASIDE}])
      Atomics.store(control, own + ${KEPT}, ticket)
    }
    code.part[stage](part, control[own + ${SCRATCH}])
    Atomics.store(control, ${FLAGS} + part, 1)
  } catch {
    Atomics.add(control, ${FAILED}, 1)
  }
  Atomics.add(control, ${DONE}, 1)
  if (Atomics.load(control, ${WAITING}) === 1) Atomics.notify(control, ${DONE})
}
`
