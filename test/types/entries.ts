// Loads every entry, so that each declaration file is compiled whole.
import { type Tensor, tensor } from '@adjoint/core'
import * as extend from '@adjoint/core/extend'
import * as testing from '@adjoint/core/testing'
import { createGpuBackend } from '@adjoint/gpu'
import * as layers from '@adjoint/layers'

export const x: Tensor = tensor([1, 2, 3])
export const y: Tensor = x.add(1).mul(x)
export const entries: object[] = [extend, testing, createGpuBackend, layers]
// @ts-expect-error a shape is not a number of dimensions
export const wrong: number = x.shape
