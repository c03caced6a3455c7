// Set-up of `npm run test:plain`: WebAssembly is refused, as by a content security policy, so plain loops do everything.

const host = (globalThis as unknown as { readonly WebAssembly: { Module: unknown } }).WebAssembly
host.Module = class {
  constructor() {
    throw new Error('WebAssembly is refused in this run of the tests')
  }
}

// Core looks once, when it is loaded: only now.
const { cpuBackend, plainBackend } = await import('@adjoint/core/extend')
if (cpuBackend !== plainBackend) throw new Error('the plain run of the tests does not run on the plain loops')

export {}
