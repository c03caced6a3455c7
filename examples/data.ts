import { readFileSync } from 'node:fs'

const folder = new URL('./node_modules/vega-datasets/data/', import.meta.url)

/** The rows of a CSV file of vega-datasets, by the names in its first line. No file of it quotes anything. */
export function readCsv<K extends string>(file: string): Record<K, string>[] {
  const [head, ...lines] = readFileSync(new URL(file, folder), 'utf8').trim().split(/\r?\n/)
  const names = head!.split(',') as K[]
  return lines.map((line) => {
    const cells = line.split(',')
    return Object.fromEntries(names.map((name, i) => [name, cells[i]!])) as Record<K, string>
  })
}

/** The rows of a JSON file of vega-datasets. */
export function readJson<R>(file: string): R[] {
  return JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as R[]
}
