/** An element of an XML document, with its text and elements in order. */
export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: (Element | string)[]
}

const NAME = /[A-Za-z_:][\w:.-]*/y
/** What XML 1.0 allows: no other control characters, no half characters. */
const CHARS = /^(?:[\t\n\r\u0020-\ud7ff\ue000-\ufffd]|[\ud800-\udbff][\udc00-\udfff])*$/

/**
 * Reads XML without a document type, strictly: tags that match, quoted attributes given once, the five entities of XML
 * and character references, no `<` or bare `&` in text, no character that XML lacks, one root.
 * @throws Error that says what is wrong and where.
 */
export function parseXml(text: string): Element {
  if (!CHARS.test(text)) throw new Error('XML: a character that XML does not allow')
  let at = 0
  const fail = (what: string): never => {
    throw new Error(`XML: ${what} at ${at}: ${JSON.stringify(text.slice(at, at + 40))}`)
  }
  const take = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text) ?? fail(`expected ${what}`)
    at += found[0].length
    return found[0]
  }
  const decoded = (raw: string): string =>
    raw.replace(/&(?:#(\d+)|#x([\da-fA-F]+)|(\w+));|&/g, (whole, decimal, hex, name) => {
      if (decimal ?? hex) {
        const char = String.fromCodePoint(decimal ? Number(decimal) : parseInt(hex as string, 16))
        return CHARS.test(char) ? char : fail(`reference ${whole}`)
      }
      const known: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
      return known[name as string] ?? fail(`a bare ampersand or unknown entity ${whole} before`)
    })
  const element = (): Element => {
    take(/</y, 'a tag')
    const name = take(NAME, 'a name')
    const attributes: Record<string, string> = {}
    while (/\s/.test(text[at] ?? '')) {
      take(/\s+/y, 'space')
      if (/[/>]/.test(text[at] ?? '')) break
      const key = take(NAME, 'an attribute')
      if (Object.hasOwn(attributes, key)) fail(`attribute ${key} twice`)
      take(/\s*=\s*/y, '=')
      const value = take(/"[^"<]*"|'[^'<]*'/y, 'a quoted value')
      attributes[key] = decoded(value.slice(1, -1))
    }
    const children: (Element | string)[] = []
    if (take(/\/?>/y, 'the end of the tag') === '/>') return { name, attributes, children }
    for (;;) {
      const content = take(/[^<]*/y, 'text')
      if (content.includes(']]>')) fail(']]> in text before')
      if (content !== '') children.push(decoded(content))
      if (text.startsWith('</', at)) {
        take(/<\//y, '</')
        if (take(NAME, 'a name') !== name) fail(`the end of ${name} before`)
        take(/\s*>/y, '>')
        return { name, attributes, children }
      }
      children.push(element())
    }
  }
  take(/\s*/y, 'space')
  const root = element()
  take(/\s*$/y, 'the end')
  return root
}

/** All elements of a name below one, in order. */
export function elementsOf(root: Element, name: string): Element[] {
  return root.children.flatMap((child) =>
    typeof child === 'string' ? [] : [...(child.name === name ? [child] : []), ...elementsOf(child, name)],
  )
}

/** All text of an element. */
export function textOf(element: Element): string {
  return element.children.map((child) => (typeof child === 'string' ? child : textOf(child))).join('')
}
