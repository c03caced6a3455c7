/** Stands for `@fast-check/vitest` in the page, where there is no test runner. */
export * as fc from 'fast-check'
