// What the page and its workers say to each other.

/** What the training runs on. */
export type Device = 'cpu' | 'gpu'

/** What one can choose on the page. */
export interface Settings {
  readonly epochs: number
  readonly batchSize: number
  /** Units of the first hidden layer; the second has half as many. */
  readonly units: number
}

export type ToWorker =
  { readonly kind: 'train'; readonly device: Device; readonly settings: Settings } | { readonly kind: 'stop' }

/** How good the model is on penguins that it has not seen. */
export interface Scores {
  /** The share of species that are right. */
  readonly species: number
  /** The share of the variance of the body mass that is explained. */
  readonly bodyMass: number
}

export type FromWorker =
  | { readonly kind: 'ready'; readonly backend: string; readonly isSoftware: boolean; readonly graph: string }
  | {
      readonly kind: 'epoch'
      readonly epoch: number
      readonly logs: Readonly<Record<string, number>>
      readonly seconds: number
    }
  | { readonly kind: 'done'; readonly steps: number; readonly seconds: number; readonly scores: Scores }
  | { readonly kind: 'failed'; readonly message: string }
