// A chart of one log over the epochs: a full line for what is trained on, a dashed one for what is held out.

const WIDTH = 300
const HEIGHT = 160
const EDGE = { left: 54, right: 10, top: 24, bottom: 20 }

/** @param epochs how far the axis goes. */
export function chart(
  title: string,
  training: readonly number[],
  validation: readonly number[],
  epochs: number,
): string {
  const values = [...training, ...validation].filter(Number.isFinite)
  const low = Math.min(...values)
  const high = Math.max(...values)
  const x = (epoch: number): number =>
    EDGE.left + (epoch / Math.max(epochs - 1, 1)) * (WIDTH - EDGE.left - EDGE.right)
  const y = (value: number): number =>
    EDGE.top + (1 - (value - low) / (high - low || 1)) * (HEIGHT - EDGE.top - EDGE.bottom)
  const line = (line: readonly number[], className: string): string =>
    `<polyline class="${className}" points="${line.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ')}"/>`
  const label = (text: string, px: number, py: number, anchor: string): string =>
    `<text x="${px}" y="${py}" text-anchor="${anchor}">${text}</text>`
  const body =
    values.length === 0
      ? ''
      : line(training, 'training') +
        line(validation, 'validation') +
        label(short(high), EDGE.left - 6, EDGE.top + 4, 'end') +
        label(short(low), EDGE.left - 6, HEIGHT - EDGE.bottom, 'end')
  const axes = `M${EDGE.left} ${EDGE.top}V${HEIGHT - EDGE.bottom}H${WIDTH - EDGE.right}`
  return (
    `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">` +
    `<text class="title" x="${EDGE.left}" y="14">${title}</text><path d="${axes}"/>` +
    label('1', EDGE.left, HEIGHT - 5, 'middle') +
    label(String(epochs), WIDTH - EDGE.right, HEIGHT - 5, 'end') +
    `${body}</svg>`
  )
}

function short(value: number): string {
  return value >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)))
}
