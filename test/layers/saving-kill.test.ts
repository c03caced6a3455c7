import { dense, initializers, loadModel, sequential } from '@adjoint/layers'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { bundle } from '../support/bundle.js'

const source = join(import.meta.dirname, '../programs/save-for-ever.ts')

/** A model whose weights are all one number, so that a mix of two would show. */
const withValue = (value: number) =>
  sequential([
    dense(300, {
      inputShape: [300],
      name: 'd',
      kernelInitializer: initializers.constant(value),
      useBias: false,
    }),
  ])

it('a process killed while it saves leaves the old file or the new one, whole', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'saving-kill-'))
  try {
    const path = join(folder, 'm.safetensors')
    const program = (await bundle([source], join(folder, 'program')))(source)
    await withValue(0).save(path)
    let last = 0
    for (const delay of [0, 3, 7, 12, 31]) {
      const child = spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      await sleep(delay)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const weights = (await loadModel(path)).getWeights()[0]!.dataSync()
      expect(weights.every((w) => w === weights[0])).toBe(true)
      expect(weights[0]).toBeGreaterThan(0)
      last = weights[0]!
    }
    expect(last).toBeGreaterThanOrEqual(1)
    // What a killed process left behind keeps nobody from saving.
    writeFileSync(`${path}.0-0-x.tmp`, 'half a file')
    await withValue(-1).save(path)
    expect((await loadModel(path)).getWeights()[0]!.dataSync()[0]).toBe(-1)
    expect(readdirSync(folder)).toContain('m.safetensors')
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
