import { functionNamed } from './functions.js'
import { SHORT } from './text.js'

/** How many turns the loops of a kernel, and of what it calls, take together, for the values of its arguments by name. */
export function turnsOf(text: string, args: ReadonlyMap<string, number>): number {
  const blocks = [1]
  let turns = 0
  for (const [token, block, bound, called] of text.matchAll(LOOP_CALL_OR_BRACE)) {
    if (called !== undefined) {
      const own = turnsOfFunction(called)
      if (own > 0) turns += own * blocks.at(-1)!
      continue
    }
    if (token === '}') {
      blocks.pop()
      continue
    }
    let times = 1
    if (bound !== undefined) {
      // What a kernel finds out by itself is short where the loop is one.
      const most = /^\d/.test(bound)
        ? Number(bound)
        : (args.get(bound) ?? (block === undefined ? SHORT : Infinity))
      times = Math.ceil(most / Number(block ?? 1))
    }
    const all = blocks.at(-1)! * times
    if (bound !== undefined) turns += all
    blocks.push(all)
  }
  return turns
}
const LOOP_CALL_OR_BRACE = /for \(let \w+ = 0; \w+(?: \* (\d+))? < (\w+);[^{]*\{|\b(\w+)\(|[{}]/g

/** What a function of the library takes at most: it may leave its loops early. */
function turnsOfFunction(name: string): number {
  let turns = TURNS.get(name)
  if (turns === undefined) {
    const source = functionNamed(name)?.source ?? ''
    turns = turnsOf(source.slice(source.indexOf('{')), new Map())
    TURNS.set(name, turns)
  }
  return turns
}
const TURNS = new Map<string, number>()
