import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Who is measured, and how its process is started. */
export interface Competitor {
  readonly name: string
  /** As tables and charts call it. */
  readonly label: string
  /** The programs it has; all, where this is absent. */
  readonly programs?: readonly string[]
  /** Work of more floating point operations is left out, which would take it minutes. */
  readonly mostFlops?: number
  /** It computes something else, only as much of it: there is nothing to compare. */
  readonly hasNoResults?: boolean
  /** The command of its process, or why there is none. */
  start(): Command | { readonly missing: string }
}
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

const MATMULS = ['matmul', 'matmul-tn', 'matmul-nt', 'matmul-tt']
const OPS = [...MATMULS, 'mul', 'exp', 'tanh', 'sigmoid', 'softmax']
const STEPS = ['b1-eager', 'b3-eager', 'b1-plan', 'b2-plan', 'b3-plan', 'b4-plan']
const TRAININGS = ['b1-train', 'b2-train', 'b3-train']

export const OURS: Competitor = {
  name: 'adjoint',
  label: 'Adjoint',
  start: () => node('competitors/adjoint.ts'),
}

/** Adjoint in float64 on plain loops: what everybody's results are compared with. */
export const REFERENCE: Competitor = {
  name: 'reference',
  label: 'the float64 reference',
  start: () => node('competitors/adjoint.ts', '--float64'),
}

export const PEERS: readonly Competitor[] = [
  {
    name: 'adjoint-plan',
    label: 'Adjoint, plan',
    programs: MATMULS,
    start: () => node('competitors/adjoint.ts', '--plan'),
  },
  {
    name: 'adjoint-2',
    label: 'Adjoint, plan, 2 threads',
    programs: [...MATMULS, 'b3-plan', 'b4-plan', 'adam'],
    start: () => node('competitors/adjoint.ts', '--plan', '--threads'),
  },
  {
    name: 'peak',
    label: 'the core',
    programs: [...MATMULS, 'adam'],
    hasNoResults: true,
    start: () => node('competitors/peak.ts'),
  },
  {
    name: 'tfjs-cpu',
    label: 'tfjs cpu',
    programs: [...STEPS, ...TRAININGS, 'fit-seed1', ...OPS],
    mostFlops: 2 * 256 ** 3,
    start: () => node('peers/tfjs.ts', 'cpu'),
  },
  { name: 'tfjs-wasm', label: 'tfjs wasm', start: () => node('peers/tfjs.ts', 'wasm') },
  { name: 'jax-js', label: 'jax-js', programs: [...STEPS, ...OPS], start: () => node('peers/jax.ts') },
  { name: 'onnx', label: 'onnxruntime', programs: MATMULS, start: () => node('peers/onnx.ts') },
  {
    name: 'pytorch',
    label: 'PyTorch',
    programs: [...STEPS, ...TRAININGS, ...OPS, 'adam'],
    start: () => python('torch', 'peers/with_torch.py'),
  },
  {
    name: 'numpy',
    label: 'NumPy',
    programs: OPS,
    start: () => python('numpy', 'peers/with_numpy.py'),
  },
]

// Without the condition @adjoint/source: what is measured is what is published, the build in dist.
function node(script: string, ...args: string[]): Command {
  return { file: process.execPath, args: ['--import', 'tsx', pathOf(script), ...args] }
}

type Found = Pick<Command, 'file' | 'env'> | { readonly missing: string }
const found = new Map<string, Found>()

function python(module: string, script: string): Command | { readonly missing: string } {
  if (!found.has(module)) found.set(module, interpreterWith(module))
  const interpreter = found.get(module)!
  return 'missing' in interpreter ? interpreter : { ...interpreter, args: [pathOf(script)] }
}

function interpreterWith(module: string): Found {
  const file = interpreters.find((name) => succeeds(name, ['-c', `import ${module}`]))
  if (file !== undefined) return { file, env: kernelsFor(file, module) }
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

/**
 * An OpenBLAS older than the processor does not know it and falls back to SSE kernels, up to nine times slower than what
 * it has. Then it is told the nearest processor that it knows.
 */
function kernelsFor(file: string, module: string): NodeJS.ProcessEnv {
  const env = { ...environment(), OPENBLAS_VERBOSE: '2' }
  const { stdout, stderr } = spawnSync(file, ['-c', `import ${module}`], { encoding: 'utf8', env })
  if (!/^Core: (Prescott|Core2|Generic)$/im.test(stdout + stderr)) return {}
  const flags = new Set(
    readFileSync('/proc/cpuinfo', 'utf8')
      .match(/^flags.*$/m)?.[0]
      .split(' '),
  )
  const has = (...wanted: readonly string[]): boolean => wanted.every((flag) => flags.has(flag))
  if (has('avx512f', 'avx512dq', 'avx512bw', 'avx512vl')) return { OPENBLAS_CORETYPE: 'SkylakeX' }
  return has('avx2', 'fma') ? { OPENBLAS_CORETYPE: 'Haswell' } : {}
}

/** One thread for everybody; and no setting that makes OpenBLAS take this processor for an older one. */
export function environment(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _type, OPENBLAS_L2_SIZE: _size, ...env } = process.env
  return { ...env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url))
}
