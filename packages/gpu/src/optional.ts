/** An optional package. @throws Error saying `why` it is not there. */
export async function optional<T>(name: string, why: string): Promise<T> {
  try {
    // A name that bundlers do not look up: such packages are for Node alone.
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T
  } catch (error) {
    throw new Error(why, { cause: error })
  }
}
