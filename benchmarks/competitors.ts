import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Who is measured, and how its process is started. */
export interface Competitor {
  readonly name: string
  /** As tables and charts call it. */
  readonly label: string
  /** The programs it has; all, where this is absent. */
  readonly programs?: readonly string[]
  /** The command of its process, or why there is none. */
  start(): Command | { readonly missing: string }
}
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

const OPS = ['matmul', 'mul', 'exp', 'tanh', 'softmax']

export const OURS: Competitor = {
  name: 'adjoint',
  label: 'Adjoint eager',
  start: () => node('competitors/adjoint.ts'),
}

/** Adjoint in float64: what everybody's results are compared with. */
export const REFERENCE: Competitor = {
  name: 'reference',
  label: 'the float64 reference',
  start: () => node('competitors/adjoint.ts', '--float64'),
}

export const PEERS: readonly Competitor[] = [
  { name: 'tfjs-cpu', label: 'tfjs cpu', start: () => node('peers/tfjs.ts', 'cpu') },
  { name: 'tfjs-wasm', label: 'tfjs wasm', start: () => node('peers/tfjs.ts', 'wasm') },
  { name: 'jax-js', label: 'jax-js eager', start: () => node('peers/jax.ts') },
  { name: 'pytorch', label: 'PyTorch, 1 thread', start: () => python('torch', 'peers/with_torch.py') },
  {
    name: 'numpy',
    label: 'NumPy, 1 thread',
    programs: OPS,
    start: () => python('numpy', 'peers/with_numpy.py'),
  },
]

// Without the condition @adjoint/source: what is measured is what is published, the build in dist.
function node(script: string, ...args: string[]): Command {
  return { file: process.execPath, args: ['--import', 'tsx', pathOf(script), ...args] }
}

function python(module: string, script: string): Command | { readonly missing: string } {
  const file = interpreters.find((name) => succeeds(name, ['-c', `import ${module}`]))
  if (file !== undefined) return { file, args: [pathOf(script)] }
  const known = interpreters.filter((name) => succeeds(name, ['--version']))
  return {
    missing: known.length === 0 ? 'no python3 here' : `${known.join(' and ')} cannot import ${module}`,
  }
}
/** Where an own Python comes first in the path, the system's may still be the one with the modules. */
const interpreters = ['python3', '/usr/bin/python3']

function succeeds(file: string, args: readonly string[]): boolean {
  return spawnSync(file, args, { stdio: 'ignore', env: environment() }).status === 0
}

/** One thread for everybody; and no setting that makes OpenBLAS take this processor for an older one. */
export function environment(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _type, OPENBLAS_L2_SIZE: _size, ...env } = process.env
  return { ...env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url))
}
