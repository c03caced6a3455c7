import { cpus, freemem, loadavg, platform, release, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory: string
  readonly system: string
  readonly node: string
}

export function machine(): Machine {
  const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1)
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: `${gigabytes(totalmem())} GiB, ${gigabytes(freemem())} free`,
    system: `${platform()} ${release()}`,
    node: `${process.version} (V8 ${process.versions.v8})`,
  }
}

/** How many processes ran on average over the last minute. */
export function load(): number {
  return Math.round(loadavg()[0]! * 100) / 100
}
