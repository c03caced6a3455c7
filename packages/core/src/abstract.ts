import type { Backend } from './backend.js'
import type { HostArray } from './dtype.js'
import { BackendError } from './errors.js'

const NOTHING = Object.freeze({})

/**
 * The backend that computes nothing: tensors have a shape and a dtype and no values.
 * Running a function on it infers the shapes of whatever the function returns.
 */
export const abstractBackend: Backend = {
  name: 'abstract',
  run: () => NOTHING,
  upload: () => NOTHING,
  read: () => Promise.reject(noValues()),
  readSync(): HostArray {
    throw noValues()
  },
}

function noValues(): BackendError {
  return new BackendError(
    'a value was read while only shapes are being inferred; compute with tensors, not with their numbers',
  )
}
