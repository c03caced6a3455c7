import { now, warn } from '../host.js'
import { free, isShared, planMemory, reserve } from '../plan/heap.js'
import type { CompiledModule } from '../wasm/host.js'
import {
  ASIDE,
  CONTROL_BYTES,
  DONE,
  FAILED,
  FLAGS,
  IS_UP,
  KEPT,
  MOST_WORKERS,
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
import { type Link, maySleep, startWorker } from './host.js'
import { type Message, WORKER_SOURCE } from './worker.js'

// A stage of a plan is shared in parts. The main thread publishes it and takes parts like everybody else, so that it never
// waits for a worker that has not begun: one that sleeps, is still starting, or is dead takes no part, that is all.
// It does wait for parts that others have taken. A worker that does not come back with its part is lost: it is stopped,
// and the main thread does its part. Nobody knows when it stops: so all that the stage writes to is left to it, and
// copied to where everything goes on, with what the part had changed put back as it was.

/** A plan's code, as threads share it. */
export interface SharedCode {
  /** Does a part of a stage on the main thread. */
  part(stage: number, part: number): void
  /** Puts back what a part has changed, copied aside to an address. */
  back(stage: number, part: number, from: number): void
  /** Copies all that a stage writes to. */
  readonly elsewhere: (stage: number) => Elsewhere
}

/** Where a stage is done once workers may still write to its own memory. */
export interface Elsewhere {
  readonly code: SharedCode
  /** Holds the memory that was left. */
  readonly left: unknown
  /** What is done when the stage is. */
  readonly goOn: () => void
}

/** What a worker needs: its link, and its own memory. */
interface Worker {
  readonly link: Link
  readonly at: number
  scratch: Piece
  aside: Piece
}
interface Piece {
  readonly address: number
  readonly bytes: number
}

const NOTHING: Piece = { address: 0, bytes: 0 }
/** Milliseconds without any part done after which workers are lost. */
const PATIENCE = 500
/** And so many for them to stop. */
const GRACE = 20
/** How often the main thread looks whether others are done before it sleeps, or looks at the clock. */
const LOOKS = 4000
/** After so many times that workers were lost no more are started. */
const MOST_LOST = 8

/** Workers, and what they work on. */
class Pool {
  #workers: (Worker | undefined)[] = []
  #wanted = 0
  #control = new Int32Array(0)
  #address = 0
  /** The plans that workers know. */
  readonly #modules = new Map<number, CompiledModule>()
  #nextPlan = 1
  #scratch = 0
  #aside = 0
  #epoch = 0
  #lost = 0
  #maySleep = false
  /** Workers that were stopped and have not ended yet, and what is left to them. */
  readonly #ending = new Map<Worker, unknown>()
  /** How many parts workers have done. */
  helped = 0

  /** How many threads compute, the main one among them. */
  get threads(): number {
    return this.#wanted + 1
  }

  /** Has so many threads from now on, or as many as can be had. */
  resize(threads: number): void {
    this.#wanted = Math.min(threads - 1, MOST_WORKERS)
    this.#lost = 0
    if (this.#wanted > 0 && this.#address === 0) this.#begin()
    this.#workers.splice(this.#wanted).forEach((worker) => this.#stop(worker))
    this.#fill()
  }

  /** Workers in the place of those that are missing. */
  #fill(): void {
    for (let i = 0; i < this.#wanted; i++) this.#workers[i] ??= this.#start(i)
  }

  #begin(): void {
    this.#address = reserve(CONTROL_BYTES)
    this.#control = new Int32Array(planMemory.buffer, this.#address, CONTROL_BYTES / 4).fill(0)
    this.#maySleep = maySleep()
  }

  #start(index: number): Worker | undefined {
    const at = WORKERS + index * PER_WORKER
    this.#control.fill(0, at, at + PER_WORKER)
    try {
      const link = startWorker(WORKER_SOURCE, () => this.#gone(worker))
      const worker: Worker = { link, at, scratch: NOTHING, aside: NOTHING }
      this.#equip(worker)
      this.#send(worker, { begin: { memory: planMemory, control: this.#address, worker: index } })
      for (const [plan, module] of this.#modules) this.#send(worker, { plan, module })
      return worker
    } catch {
      this.#giveUp()
      return undefined
    }
  }

  #send(worker: Worker, message: Message): void {
    Atomics.add(this.#control, worker.at + SENT, 1)
    worker.link.send(message)
    // Another ticket, so that who is about to sleep does not.
    this.#publish(0)
  }

  /** Memory of a worker's own, as much as any plan asks for. */
  #equip(worker: Worker): void {
    worker.scratch = enlarged(worker.scratch, this.#scratch)
    worker.aside = enlarged(worker.aside, this.#aside)
    this.#control[worker.at + SCRATCH] = worker.scratch.address
    this.#control[worker.at + ASIDE] = worker.aside.address
  }

  #stop(worker: Worker | undefined): void {
    if (worker === undefined) return
    worker.link.stop()
    this.#free(worker)
  }

  #free({ scratch, aside }: Worker): void {
    for (const { address, bytes } of [scratch, aside]) if (bytes > 0) free(address, bytes)
  }

  /** A worker ended by itself, or somebody ended it. */
  #gone(worker: Worker): void {
    if (this.#ending.delete(worker)) this.#free(worker)
    const index = this.#workers.indexOf(worker)
    if (index < 0) return
    this.#workers[index] = undefined
    this.#stop(worker)
    if (this.#control[worker.at + IS_UP] === 0 || ++this.#lost > MOST_LOST) this.#giveUp()
    else this.#fill()
  }

  #giveUp(): void {
    this.#wanted = 0
    this.#workers.splice(0).forEach((worker) => this.#stop(worker))
    warn(
      'setThreads: workers cannot be started here, or do not stay; everything runs on one thread from now on',
    )
  }

  /** Makes code known to all workers. @returns its number. */
  add(module: CompiledModule, scratch: number, aside: number): number {
    const plan = this.#nextPlan++
    this.#modules.set(plan, module)
    this.#scratch = Math.max(this.#scratch, scratch)
    this.#aside = Math.max(this.#aside, aside)
    for (const worker of this.#workers)
      if (worker !== undefined) {
        this.#equip(worker)
        this.#send(worker, { plan, module })
      }
    return plan
  }

  remove(plan: number): void {
    this.#modules.delete(plan)
    for (const worker of this.#workers) if (worker !== undefined) this.#send(worker, { forget: plan })
  }

  #publish(parts: number): number {
    this.#epoch = (this.#epoch + 1) & 4095
    const ticket = (this.#epoch << (2 * PART_BITS)) | (parts << PART_BITS)
    const control = this.#control
    Atomics.store(control, TICKET, ticket)
    if (Atomics.load(control, SLEEPING) > 0) Atomics.notify(control, TICKET)
    return ticket
  }

  /** Does all parts of a stage, with whoever comes. */
  run(plan: number, stage: number, parts: number, code: SharedCode): void {
    const control = this.#control
    control[PLAN] = plan
    control[STAGE] = stage
    control[FAILED] = 0
    control[DONE] = 0
    control.fill(0, FLAGS, FLAGS + parts)
    // Tickets come again in time.
    for (const worker of this.#workers) if (worker !== undefined) control[worker.at + KEPT] = 0
    let ticket = this.#publish(parts)
    let own = 0
    while ((ticket & PART_MASK) < parts) {
      const seen = Atomics.compareExchange(control, TICKET, ticket, ticket + 1)
      if (seen === ticket) {
        this.#take(stage, ticket & PART_MASK, code)
        own++
        ticket = Atomics.load(control, TICKET)
      } else ticket = seen
    }
    this.helped += parts - own
    if (!this.#join(parts - own) || control[FAILED] !== 0) this.#recover(stage, parts, code, ticket)
  }

  #take(stage: number, part: number, code: SharedCode): void {
    try {
      code.part(stage, part)
      this.#control[FLAGS + part] = 1
    } catch {
      // What went wrong is told once others are done.
      Atomics.add(this.#control, FAILED, 1)
    }
  }

  /** Waits until others are done with so many parts; false if they do not come back. */
  #join(parts: number): boolean {
    const control = this.#control
    for (let i = 0; i < LOOKS; i++) if (Atomics.load(control, DONE) === parts) return true
    let done = -1
    let since = now()
    Atomics.store(control, WAITING, 1)
    try {
      for (;;) {
        const seen = Atomics.load(control, DONE)
        if (seen === parts) return true
        if (seen !== done) {
          done = seen
          since = now()
        } else if (now() - since > PATIENCE) return false
        if (this.#maySleep) Atomics.wait(control, DONE, seen, 10)
      }
    } finally {
      Atomics.store(control, WAITING, 0)
    }
  }

  /** Stops all workers, does what they left undone elsewhere, and starts others. */
  #recover(stage: number, parts: number, shared: SharedCode, ticket: number): void {
    const workers = this.#workers.splice(0).filter((worker) => worker !== undefined)
    for (const { link } of workers) link.stop()
    for (const begun = now(); now() - begun < GRACE;)
      if (this.#maySleep) Atomics.wait(this.#control, WAITING, 0, 1)
    const control = this.#control
    const isDone = Array.from({ length: parts }, (_, part) => Atomics.load(control, FLAGS + part) === 1)
    const { code, left, goOn } = shared.elsewhere(stage)
    for (const { at, aside } of workers) {
      // Told before a part is begun: who has not told it by now has changed nothing of what was copied.
      const kept = Atomics.add(control, at + KEPT, 0)
      const part = kept & PART_MASK
      if ((kept ^ ticket) >>> PART_BITS === 0 && !isDone[part]) code.back(stage, part, aside.address)
    }
    isDone.forEach((is, part) => {
      if (!is) code.part(stage, part)
    })
    for (const worker of workers) this.#ending.set(worker, left)
    // Whoever may still be about to tell something tells it to nobody.
    this.#begin()
    if (++this.#lost > MOST_LOST) this.#giveUp()
    else this.#fill()
    goOn()
  }

  /** The workers that there are, for tests. */
  get links(): readonly Link[] {
    return this.#workers.flatMap((worker) => worker?.link ?? [])
  }

  /** How many of them have begun. */
  get up(): number {
    const ups = this.#workers.filter(
      (worker) => worker !== undefined && this.#control[worker.at + IS_UP] === 1,
    )
    return ups.length
  }
}

function enlarged(piece: Piece, bytes: number): Piece {
  if (bytes <= piece.bytes) return piece
  if (piece.bytes > 0) free(piece.address, piece.bytes)
  return { address: reserve(bytes), bytes }
}

/** Threads of plans. */
export const pool: Pool = new Pool()

/** Whether there can be more threads than one. */
export const hasThreads: boolean = isShared
