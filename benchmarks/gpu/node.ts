// npm run bench -- --gpu: the CPU against the GPU in Node, through Dawn.
import { existsSync } from 'node:fs'
import { casesOf, type Compared, compare, tableOf } from './compare.js'
import { cpu, onGpu } from './contenders.js'

const SOFTWARE_DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json'

export async function benchGpu(isQuick: boolean, only: string): Promise<void> {
  // Where a machine has no Vulkan driver of its own, the CPU's serves, and the table says so.
  if (
    process.env['VK_ICD_FILENAMES'] === undefined &&
    !existsSync('/usr/share/vulkan/icd.d') &&
    existsSync(SOFTWARE_DRIVER)
  )
    process.env['VK_ICD_FILENAMES'] = SOFTWARE_DRIVER
  const cases = casesOf(isQuick)
  const some = cases.filter(({ kind }) => kind.startsWith(only))
  if (some.length === 0) {
    const kinds = [...new Set(cases.map(({ kind }) => kind))]
    throw new Error(`bench: no case begins with ${JSON.stringify(only)}; there are ${kinds.join(', ')}`)
  }
  const contenders = [cpu, await onGpu('webgpu')]
  const results: Compared[] = []
  for (const what of some) {
    const result = await compare(what, contenders, { rounds: isQuick ? 2 : 5, slice: isQuick ? 20 : 200 })
    results.push(result)
    console.log(
      `${result.name}: ${result.timings.map(({ contender, ms, reason }) => `${contender} ${ms?.toPrecision(3) ?? reason}`).join(', ')}`,
    )
  }
  console.log(`\n${tableOf(contenders, results)}`)
}
