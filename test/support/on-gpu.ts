/** Loaded before a program: everything in it then runs on the GPU. */
import { setBackend } from '@adjoint/core'
import { openGpu } from './gpu.js'

const { gpu } = await openGpu()
if (gpu !== undefined) setBackend(gpu)
