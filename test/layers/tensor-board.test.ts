import { dense, sequential, setSeed, sgd, tensorBoard, ValueError } from '@adjoint/layers'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { crc32c } from '../../packages/layers/src/callbacks/event-file.js'

const folder = mkdtempSync(join(tmpdir(), 'tensor-board-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

// A reader that shares nothing with the writer: checksums bit by bit, messages by the wire format's own rules.

/** The remainder of a division of polynomials over bits (RFC 3720, B.4). */
function checksum(data: Buffer): number {
  let crc = 0xffffffffn
  for (const byte of data) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n)
  }
  const whole = crc ^ 0xffffffffn
  return Number((((whole >> 15n) | (whole << 17n)) + 0xa282ead8n) & 0xffffffffn)
}

function records(file: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at))
    expect(file.readUInt32LE(at + 8)).toBe(checksum(file.subarray(at, at + 8)))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(file.readUInt32LE(at + 12 + length)).toBe(checksum(data))
    found.push(data)
    at += 16 + length
  }
  return found
}

type Field = readonly [field: number, value: Buffer | bigint]

function fieldsOf(message: Buffer): Field[] {
  const found: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(message[at++]!)
      value |= (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  while (at < message.length) {
    const key = varint()
    const take = (length: number): Buffer => message.subarray(at, (at += length))
    const values = { 0: varint, 1: () => take(8), 2: () => take(Number(varint())), 5: () => take(4) }
    found.push([Number(key >> 3n), values[Number(key & 7n) as 0 | 1 | 2 | 5]()])
  }
  expect(at).toBe(message.length)
  return found
}
const field = (message: Buffer, number: number): Buffer | bigint =>
  fieldsOf(message).find(([found]) => found === number)![1]

interface Scalar {
  readonly tag: string
  readonly value: number
  readonly step: number
}

function scalarsIn(path: string): Scalar[] {
  const files = readdirSync(path)
  expect(files).toHaveLength(1)
  expect(files[0]).toMatch(/^events\.out\.tfevents\.\d{10}\./)
  const [first, ...rest] = records(readFileSync(join(path, files[0]!)))
  expect((field(first!, 3) as Buffer).toString()).toBe('brain.Event:2')
  return rest.map((event) => {
    const wall = (field(event, 1) as Buffer).readDoubleLE()
    expect(Math.abs(wall - Date.now() / 1000)).toBeLessThan(600)
    const value = field(field(event, 5) as Buffer, 1) as Buffer
    const plugin = field(field(value, 9) as Buffer, 1) as Buffer
    expect((field(plugin, 1) as Buffer).toString()).toBe('scalars')
    return {
      tag: (field(value, 1) as Buffer).toString(),
      value: (field(value, 2) as Buffer).readFloatLE(),
      step: Number(field(event, 2)),
    }
  })
}

async function train(callback: ReturnType<typeof tensorBoard>, epochs: number, withValidation = true) {
  setSeed(1)
  const m = sequential([dense(1, { inputShape: [1] })])
  m.compile({ optimizer: sgd({ learningRate: (step) => 0.1 / (1 + step) }), loss: 'mse', metrics: ['mae'] })
  const x = Array.from({ length: 600 }, (_, i) => [i / 600])
  return m.fit(x, x, {
    epochs,
    batchSize: 3,
    verbose: 0,
    callbacks: callback,
    ...(withValidation && { validationSplit: 0.1 }),
  })
}

test('crc32c gives the checksums of RFC 3720, B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
})

describe('tensorBoard writes', () => {
  test('the logs of each epoch', async () => {
    const { history } = await train(tensorBoard(join(folder, 'epochs')), 2)
    const logs = history as unknown as Record<string, number[]>
    expect(readdirSync(join(folder, 'epochs'))).toEqual(['train', 'validation'])
    expect(scalarsIn(join(folder, 'epochs', 'train'))).toEqual(
      [0, 1].flatMap((step) => [
        { tag: 'epoch_loss', value: Math.fround(logs['loss']![step]!), step },
        { tag: 'epoch_mae', value: Math.fround(logs['mae']![step]!), step },
        { tag: 'epoch_learning_rate', value: Math.fround(0.1 / (1 + 180 * (step + 1))), step },
      ]),
    )
    expect(scalarsIn(join(folder, 'epochs', 'validation'))).toEqual(
      [0, 1].flatMap((step) => [
        { tag: 'epoch_loss', value: Math.fround(logs['val_loss']![step]!), step },
        { tag: 'epoch_mae', value: Math.fround(logs['val_mae']![step]!), step },
      ]),
    )
  })

  test('those of batches too, where that is asked for', async () => {
    await train(tensorBoard(join(folder, 'batches/'), { updateFreq: 150 }), 2, false)
    expect(readdirSync(join(folder, 'batches'))).toEqual(['train'])
    const found = scalarsIn(join(folder, 'batches', 'train')).filter(({ tag }) => tag.startsWith('batch_'))
    expect(found.map(({ tag, step }) => [tag, step])).toEqual(
      [0, 150, 300].flatMap((step) => [
        ['batch_loss', step],
        ['batch_mae', step],
      ]),
    )
  })
})

test.each([
  [() => tensorBoard(''), /path/],
  [() => tensorBoard('a', { updateFreq: 0 }), /updateFreq/],
  [() => tensorBoard('a', { updateFrequency: 1 } as object), /updateFrequency/],
])('%s is refused', (make, says) => {
  expect(make).toThrow(ValueError)
  expect(make).toThrow(says)
})
