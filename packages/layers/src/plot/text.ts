import { cellWidth } from '../table.js'

/** Text as a picture may hold it: no control characters, which XML has no way to write, and no half characters. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
}

/** For text and for attributes in double quotes, in SVG and in HTML. */
export function escapeXml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** Whole pixels are enough nearly everywhere; tenths keep slopes smooth. */
export function px(x: number): string {
  return String(Math.round(x * 10) / 10)
}

/**
 * A good guess of how wide text is drawn, rather too wide than too narrow: the advances of DejaVu Sans, which is wider
 * than Arial and Helvetica.
 */
export function textWidth(text: string, size: number, isBold = false): number {
  let ems = 0
  for (const char of text) ems += advance(char)
  return ems * size * (isBold ? 1.12 : 1)
}

function advance(char: string): number {
  if (char > '~') return [0, 0.75, 1.3][cellWidth(char)]!
  if (/[il'jI|.,:; !()[\]{}]/.test(char)) return 0.4
  if (/[frt/\\"-]/.test(char)) return 0.46
  if (/[mMWw@%&]/.test(char)) return 1
  return /[A-Z+=<>~#]/.test(char) ? 0.8 : 0.64
}

/** `text` in at most `width` pixels, its middle left out where it is longer. */
export function shortened(text: string, width: number, size: number, isBold = false): string {
  if (textWidth(text, size, isBold) <= width) return text
  const chars = Array.from(text)
  for (let kept = chars.length - 1; kept > 1; kept--) {
    const front = Math.ceil(kept / 2)
    const short = `${chars.slice(0, front).join('')}…${chars.slice(chars.length - (kept - front)).join('')}`
    if (textWidth(short, size, isBold) <= width) return short
  }
  return '…'
}
