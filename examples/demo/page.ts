// The page: two workers train the same model from the same seed, one on the CPU and one on the GPU. `?epochs=5` and the
// like choose settings, `?only=cpu` leaves the other device out.
import { chart } from './chart.js'
import type { Device, FromWorker, Settings, ToWorker } from './messages.js'

const query = new URLSearchParams(location.search)
const devices = (['cpu', 'gpu'] as const).filter((device) => (query.get('only') ?? device) === device)

/** Each chart shows a log, and the same of the validation data. */
const CHARTS = {
  species_loss: 'species, crossentropy',
  species_accuracy: 'species, accuracy',
  bodyMass_loss: 'body mass, squared error (g²)',
  bodyMass_mae: 'body mass, mean error (g)',
} as const

function element<E extends HTMLElement>(selector: string): E {
  const found = document.querySelector<E>(selector)
  if (found === null) throw new Error(`the page has no ${selector}`)
  return found
}

/** A device's panel with nothing in it yet, in the place of one that was there before. */
function emptyPanel(device: Device): HTMLElement {
  const panel = element<HTMLTemplateElement>('template').content.firstElementChild!.cloneNode(
    true,
  ) as HTMLElement
  panel.id = device
  const before = document.getElementById(device)
  if (before === null) element('#sides').append(panel)
  else before.replaceWith(panel)
  return panel
}

/** One side of the page: a worker, its curves and its words. */
class Side {
  readonly done: Promise<FromWorker>
  readonly #logs: Record<string, number[]> = {}
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  readonly #panel: HTMLElement

  constructor(
    readonly device: Device,
    readonly settings: Settings,
  ) {
    this.#panel = emptyPanel(device)
    this.#words('h2', device.toUpperCase())
    this.#words('.status', 'Starting …')
    this.#draw()
    this.done = new Promise((resolve) => {
      this.#worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
        this.#show(data)
        if (data.kind === 'done' || data.kind === 'failed') resolve(data)
      })
      this.#worker.addEventListener('error', ({ message }) => {
        const failed = { kind: 'failed', message } as const
        this.#show(failed)
        resolve(failed)
      })
    })
    this.#tell({ kind: 'train', device, settings })
    void this.done.then(() => {
      this.#worker.terminate()
    })
  }

  stop(): void {
    this.#tell({ kind: 'stop' })
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  #words(selector: string, text: string): void {
    this.#panel.querySelector(selector)!.textContent = text
  }

  #show(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        element('#graph').innerHTML = message.graph
        this.#words('.backend', message.backend)
        if (message.isSoftware) this.#words('h2', `${this.device.toUpperCase()}, a software adapter`)
        this.#words(
          '.warning',
          message.isSoftware ? 'This adapter computes on the CPU: its speed says nothing about a GPU.' : '',
        )
        this.#words('.status', 'Training …')
        return
      case 'epoch': {
        for (const [name, value] of Object.entries(message.logs)) (this.#logs[name] ??= []).push(value)
        const progress = this.#panel.querySelector('progress')!
        progress.max = this.settings.epochs
        progress.value = message.epoch + 1
        const perEpoch = (1000 * message.seconds) / (message.epoch + 1)
        this.#words(
          '.status',
          `Epoch ${message.epoch + 1} of ${this.settings.epochs}, ${perEpoch.toFixed(1)} ms each`,
        )
        this.#draw()
        return
      }
      case 'done': {
        const { steps, seconds, scores } = message
        this.#words(
          '.status',
          `${steps} steps in ${seconds.toFixed(2)} s: ${Math.round(steps / seconds)} a second, validation included`,
        )
        this.#words(
          '.scores',
          `On penguins it has not seen: ${(100 * scores.species).toFixed(1)} % of the species, R² of the body mass ${scores.bodyMass.toFixed(3)}`,
        )
        return
      }
      case 'failed':
        this.#words('.status', message.message)
    }
  }

  #draw(): void {
    this.#panel.querySelector('.charts')!.innerHTML = Object.entries(CHARTS)
      .map(([name, title]) =>
        chart(title, this.#logs[name] ?? [], this.#logs[`val_${name}`] ?? [], this.settings.epochs),
      )
      .join('')
  }
}

const NAMES = ['epochs', 'batchSize', 'units'] as const

function settings(): Settings {
  const form = new FormData(element<HTMLFormElement>('#settings'))
  const [epochs, batchSize, units] = NAMES.map((name) => Number(form.get(name)))
  return { epochs: epochs!, batchSize: batchSize!, units: units! }
}

async function run(): Promise<void> {
  const start = element<HTMLButtonElement>('#start')
  const stop = element<HTMLButtonElement>('#stop')
  start.disabled = true
  stop.disabled = false
  const sides = devices.map((device) => new Side(device, settings()))
  stop.onclick = () => {
    for (const side of sides) side.stop()
  }
  const results = await Promise.all(sides.map(({ done }) => done))
  start.disabled = false
  stop.disabled = true
  Object.assign(globalThis, { demo: Object.fromEntries(devices.map((device, i) => [device, results[i]])) })
}

for (const name of NAMES) {
  const given = query.get(name)
  if (given !== null) element<HTMLInputElement>(`[name=${name}]`).value = given
}
element<HTMLFormElement>('#settings').addEventListener('submit', (event) => {
  event.preventDefault()
  void run()
})
void run()
