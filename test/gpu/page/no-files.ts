/** Stands for the modules of Node that the page's helpers import and do not use there. */
export function readFileSync(): never {
  throw new Error('there are no files')
}
export function readdirSync(): never {
  throw new Error('there are no folders')
}
export const fileURLToPath = (url: URL): string => url.pathname
export const join = (...parts: string[]): string => parts.join('/')
