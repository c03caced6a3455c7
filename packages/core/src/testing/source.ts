import { Tensor } from '../tensor.js'
import { isRecord } from '../tree.js'

/** A value as TypeScript that makes it again: tensors with all of their digits, lists and records as literals. */
export function sourceOf(value: unknown): string {
  if (value instanceof Tensor) return sourceOfTensor(value as Tensor)
  if (Array.isArray(value)) return `[${value.map(sourceOf).join(', ')}]`
  if (isRecord(value)) {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined)
    return entries.length === 0
      ? '{}'
      : `{ ${entries.map(([k, v]) => `${keyOf(k)}: ${sourceOf(v)}`).join(', ')} }`
  }
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function keyOf(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key)
}

function sourceOfTensor(x: Tensor): string {
  const flat = Array.from(x.dataSync(), (value) => sourceOf(value))
  const shape = x.rank === 1 && x.size > 0 ? '' : `shape: [${x.shape.join(', ')}], `
  // A scalar is written as a number; its nesting is its shape.
  if (x.rank === 0) return `tensor(${flat[0]}, { dtype: '${x.dtype}' })`
  return `tensor([${flat.join(', ')}], { ${shape}dtype: '${x.dtype}' })`
}
