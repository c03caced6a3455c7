import { BackendError, dense, FormatError, loadModel, sequential, ValueError } from '@adjoint/layers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

/** What stands for a browser's IndexedDB: one store, transactions that happen whole or not at all, a quota. */
class FakeStorage {
  readonly records = new Map<string, unknown>()
  quota = Infinity
  closed = 0

  open(): unknown {
    return request(() => ({
      createObjectStore: () => undefined,
      close: () => this.closed++,
      transaction: (_store: string, mode: string) => this.#transaction(mode === 'readwrite'),
    }))
  }

  #transaction(isWriting: boolean): unknown {
    const pending = new Map<string, unknown>()
    const transaction = {
      error: undefined as Error | undefined,
      oncomplete: undefined as (() => void) | undefined,
      onabort: undefined as (() => void) | undefined,
      objectStore: () => ({
        get: (key: string) => request(() => structuredClone(this.records.get(key))),
        put: (value: Uint8Array, key: string) => {
          pending.set(key, structuredClone(value))
          return request(() => key)
        },
      }),
    }
    // A quota is found exceeded when a transaction ends, after its requests have succeeded.
    if (isWriting)
      setTimeout(() => {
        const size = [...pending.values()].reduce((n: number, value) => n + (value as Uint8Array).length, 0)
        if (size > this.quota) {
          transaction.error = new DOMException('the quota is exceeded', 'QuotaExceededError')
          transaction.onabort?.()
          return
        }
        for (const [key, value] of pending) this.records.set(key, value)
        transaction.oncomplete?.()
      }, 2)
    return transaction
  }
}

function request<R>(work: () => R): unknown {
  const made = {
    result: undefined as R | undefined,
    error: undefined as unknown,
    onsuccess: undefined as (() => void) | undefined,
    onerror: undefined as (() => void) | undefined,
    onupgradeneeded: undefined as (() => void) | undefined,
  }
  setTimeout(() => {
    try {
      made.result = work()
      made.onupgradeneeded?.()
      made.onsuccess?.()
    } catch (error) {
      made.error = error
      made.onerror?.()
    }
  }, 0)
  return made
}

let storage: FakeStorage
beforeEach(() => {
  storage = new FakeStorage()
  vi.stubGlobal('indexedDB', storage)
})
afterEach(() => {
  vi.unstubAllGlobals()
})

const make = () => sequential([dense(2, { inputShape: [3] })])
const weightsOf = (m: { getWeights(): { dataSync(): ArrayLike<number> }[] }): number[][] =>
  m.getWeights().map((w) => Array.from(w.dataSync()))

test('a model is kept in the storage of a browser by its name, and its weights alone are too', async () => {
  const m = make()
  await m.save('indexeddb://mine')
  expect([...storage.records.keys()]).toEqual(['mine'])
  expect(weightsOf(await loadModel('indexeddb://mine'))).toEqual(weightsOf(m))
  const other = make()
  await other.saveWeights('indexeddb://weights')
  await m.loadWeights('indexeddb://weights')
  expect(weightsOf(m)).toEqual(weightsOf(other))
  expect(storage.closed).toBe(4)
})

test('E39: where the quota is exceeded the old record is whole, and the error says why', async () => {
  const m = make()
  await m.save('indexeddb://mine')
  const before = structuredClone(storage.records)
  storage.quota = 100
  const failing = make().save('indexeddb://mine')
  await expect(failing).rejects.toThrow(BackendError)
  await expect(failing).rejects.toThrow(/save: cannot store "mine": the quota is exceeded/)
  expect(storage.records).toEqual(before)
  expect(weightsOf(await loadModel('indexeddb://mine'))).toEqual(weightsOf(m))
})

test('E39: a record that is damaged, of another kind, or not there is told; the model at hand is untouched', async () => {
  const m = make()
  await m.save('indexeddb://mine')
  const whole = storage.records.get('mine') as Uint8Array
  const bad: [unknown, RegExp][] = [
    [undefined, /holds nothing under "mine"/],
    ['text', /no bytes but string/],
    [{ length: 3 }, /no bytes/],
    [whole.slice(0, -3), /cut off/],
    [new Uint8Array(0), /too short/],
  ]
  const before = weightsOf(m)
  for (const [record, message] of bad) {
    storage.records.set('mine', record)
    for (const load of [() => loadModel('indexeddb://mine'), () => m.loadWeights('indexeddb://mine')]) {
      await expect(load()).rejects.toThrow(FormatError)
      await expect(load()).rejects.toThrow(message)
    }
  }
  expect(weightsOf(m)).toEqual(before)
  expect([...storage.records.keys()]).toEqual(['mine'])
})

test('a name is needed, a folder is none, and without IndexedDB the error says what to do', async () => {
  await expect(make().save('indexeddb://')).rejects.toThrow(ValueError)
  await expect(make().save('indexeddb://mine/', {})).rejects.toThrow(/one record/)
  await expect(make().save('indexeddb://mine', { format: 'folder' })).rejects.toThrow(/one record/)
  storage.open = () => {
    throw new DOMException('denied', 'SecurityError')
  }
  await expect(make().save('indexeddb://mine')).rejects.toThrow(/cannot store "mine": denied/)
  vi.stubGlobal('indexedDB', undefined)
  await expect(make().save('indexeddb://mine')).rejects.toThrow(/no IndexedDB here.*toBytes/)
  await expect(loadModel('indexeddb://mine')).rejects.toThrow(BackendError)
})
