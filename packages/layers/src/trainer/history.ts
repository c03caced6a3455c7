import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { checkKeys } from '../option-checks.js'
import { drawCurves } from '../plot/curves.js'
import { deliver } from '../plot/deliver.js'
import type { CurvesOptions, FitParams, History } from './types.js'

/** What `fit` returns. */
export class TrainingHistory implements History {
  readonly epoch: number[]
  readonly history: History['history']
  readonly params: History['params']

  constructor(epoch: number[], logs: Record<string, number[]>, params: FitParams) {
    this.epoch = epoch
    this.history = logs as History['history']
    this.params = { ...params }
  }

  toSVG(options: CurvesOptions & { readonly toFile: string }): Promise<string>
  toSVG(options?: CurvesOptions & { readonly toFile?: never }): string
  toSVG(options: CurvesOptions = {}): string | Promise<string> {
    checkKeys('toSVG', options, ['title', 'toFile'])
    const { title = 'Training', toFile } = options
    if (typeof title !== 'string') throw new ValueError(`toSVG: title must be a text, got ${show(title)}`)
    return deliver('toSVG', drawCurves(this, title), toFile)
  }
}
