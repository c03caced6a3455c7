/** A bug to plant: `find`, which occurs once in a file of packages/core/src, becomes `replace`. */
export interface Mutation {
  readonly file: string
  /** What is wrong then. */
  readonly what: string
  readonly find: string
  readonly replace: string
}

const inFile = (file: string, ...bugs: readonly (readonly [what: string, find: string, replace: string])[]) =>
  bugs.map(([what, find, replace]): Mutation => ({ file, what, find, replace }))

/** Bugs that a tensor library could really have, each of which some test must find. */
export const mutations: readonly Mutation[] = [
  // ---- gradient rules, element by element
  ...inFile(
    'ops/arithmetic.ts',
    ['sub: wrong sign', 'y: ({ g }) => neg(g) }', 'y: ({ g }) => g }'],
    [
      'mul: operands swapped',
      'x: ({ g, y }) => mul(g, y), y: ({ g, x }) => mul(g, x)',
      'x: ({ g, x }) => mul(g, x), y: ({ g, y }) => mul(g, y)',
    ],
    [
      'div: sign lost',
      'y: ({ g, out, y }) => neg(div(mul(g, out), y))',
      'y: ({ g, out, y }) => div(mul(g, out), y)',
    ],
    [
      'div: taken at x instead of out',
      'y: ({ g, out, y }) => neg(div(mul(g, out), y))',
      'y: ({ g, x, y }) => neg(div(mul(g, x), y))',
    ],
    ['square: factor 2 missing', 'mul(g, mul(x, 2))', 'mul(g, x)'],
    [
      'squaredDifference: sign by y',
      'y: ({ g, x, y }) => mul(g, mul(sub(y, x), 2))',
      'y: ({ g, x, y }) => mul(g, mul(sub(x, y), 2))',
    ],
    ['reciprocal: taken at x instead of out', 'neg(mul(g, square(out)))', 'neg(mul(g, square(x)))'],
    ['sqrt: second derivative cut', 'div(g, mul(out, 2))', 'div(g, mul(out.detach(), 2))'],
    ['rsqrt: factor', 'mul(out, -0.5)', 'mul(out, -1)'],
    ['pow: exponent not lowered', 'sub(y, 1))))', 'y)))'],
    [
      'pow: log of 0 not masked',
      'mul(g, where(equal(x, 0), where(less(y, 0), NaN, 0), mul(out, log(x))))',
      'mul(g, mul(out, log(x)))',
    ],
    ['powScalar: 0 times infinity at exponent 0', 'exponent === 0 ? mul(g, 0) : ', ''],
    ['maximum: ties counted twice', "(x == y ? 0.5 : 0)'", "(x == y ? 1 : 0)'"],
    [
      'minimum: the gradient of the maximum',
      'vjp: { x: ({ g, x, y }) => shareOf(g, y, x), y: ({ g, x, y }) => shareOf(g, x, y) }',
      'vjp: { x: ({ g, x, y }) => shareOf(g, x, y), y: ({ g, x, y }) => shareOf(g, y, x) }',
    ],
    ['mod: no gradient by y', 'mul(g, neg(floor(div(x, y))))', 'mul(g, 0)'],
    ['hypot: 0 / 0 at the origin', 'where(equal(out, 0), 0, div(x, out))', 'div(x, out)'],
    [
      'xlogy: second derivative cut',
      'x: ({ g, y }) => mul(g, log(y))',
      'x: ({ g, y }) => mul(g, log(y).detach())',
    ],
    [
      'logAddExp: sign inside the exponent',
      'mul(g, expOfDifference(x, out))',
      'mul(g, expOfDifference(out, x))',
    ],
  ),
  ...inFile(
    'ops/exponential.ts',
    [
      'exp: second derivative cut',
      'vjp: { x: ({ g, out }) => mul(g, out) }',
      'vjp: { x: ({ g, out }) => mul(g, out.detach()) }',
    ],
    ['exp2: factor', 'mul(out, Math.LN2)', 'out'],
    ['log10: factor', 'Math.LN10', 'Math.LN2'],
    ['log1p: taken at x instead of 1 + x', 'div(g, add(x, 1))', 'div(g, x)'],
  ),
  ...inFile(
    'ops/trigonometric.ts',
    ['cos: wrong sign', 'neg(mul(g, sin(x)))', 'mul(g, sin(x))'],
    ['tanh: second derivative of the other sign', 'tanhSlope(x)), -2)', 'tanhSlope(x)), 2)'],
    [
      'tanh: the slope is not squared',
      '/ ((1 + exp(-2 * abs(x))) * (1 + exp(-2 * abs(x))))',
      '/ (1 + exp(-2 * abs(x)))',
    ],
    ['tan: second derivative cut', 'div(g, square(cos(x)))', 'div(g, square(cos(x.detach())))'],
    ['atan2: operands swapped', 'overSquare(y, hypot(x, y))', 'overSquare(x, hypot(x, y))'],
    ['atanh: wrong sign inside', 'div(g, mul(sub(1, x), add(1, x)))', 'div(g, add(square(x), 1))'],
  ),
  ...inFile(
    'ops/activation.ts',
    ['relu: derivative 1 at 0', "expr: 'x > 0 ? y : 0'", "expr: 'x >= 0 ? y : 0'"],
    ['relu6: mask above 6 missing', 'gate(gate(g, x), sub(6, x))', 'gate(g, x)'],
    [
      'leakyRelu: mask on the wrong branch',
      'where(greater(x, 0), g, mul(g, alpha))',
      'where(greater(x, 0), mul(g, alpha), g)',
    ],
    ['elu: second derivative is NaN for large x', 'mul(exp(neg(relu(neg(x)))), alpha)', 'mul(exp(x), alpha)'],
    ['sigmoid: taken at out instead of x', 'mul(out, sigmoid(neg(x)))', 'mul(out, sigmoid(neg(out)))'],
    ['silu: sign inside', '(1 + x / (1 + exp(x)))', '(1 + x / (1 + exp(-x)))'],
    ['silu: second derivative', 'add(mul(x, sub(q, s)), 2)', 'add(mul(x, sub(s, q)), 2)'],
    ['softsign: slope of |x| lost', 'sub(gate(g, x), gate(g, neg(x)))', 'gate(g, x)'],
    [
      'gelu: second derivative',
      'mul(normalDensity(x), sub(2, square(x)))',
      'mul(normalDensity(x), sub(1, square(x)))',
    ],
    ['geluTanh: second derivative', 'add(mul(dw, 2), bend)', 'add(dw, bend)'],
    ['hardSigmoid: slope lost', 'gate(gate(mul(g, slope), y), sub(1, y))', 'gate(gate(g, y), sub(1, y))'],
  ),
  ...inFile(
    'ops/select.ts',
    [
      'where: mask on the wrong branch',
      'y: ({ g, cond }) => where(cond, 0, g)',
      'y: ({ g, cond }) => where(cond, g, 0)',
    ],
    ['clip: no derivative on the bounds', 'min <= x && x <= max', 'min < x && x < max'],
    [
      'clip: gradient of its gradient not masked',
      'vjp: { y: ({ g, x, attrs }) => gateWithin(g, x, attrs), x: null }',
      'vjp: { y: ({ g }) => g, x: null }',
    ],
    [
      'stopGradient: lets gradients through',
      "kernel: () => ({ kind: 'view' }),\n  vjp: null",
      "kernel: () => ({ kind: 'view' }),\n  vjp: { x: ({ g }) => g }",
    ],
  ),

  // ---- gradient rules of reductions, movement, products
  ...inFile(
    'ops/reduce.ts',
    [
      'sum: reduced axes not put back',
      'broadcastTo(withDims(g, x, attrs.axis), x.shape),\n)',
      'broadcastTo(g, x.shape),\n)',
    ],
    ['mean: divided by the size of x', 'x.size / out.size)', 'x.size)'],
    ['max: ties counted fully', 'div(isExtreme, sum(isExtreme, attrs.axis, true))', 'isExtreme'],
    [
      'prod: the product of the others from one side only',
      'mul(productBefore(flat, last, false), productBefore(flat, last, true))',
      'productBefore(flat, last, false)',
    ],
    ['logSumExp: NaN for rows of -Infinity', 'where(equal(out, -Infinity), 0, out)', 'out'],
    [
      'logSumExp: second derivative cut',
      'mul(withDims(g, x, attrs.axis), exp(sub(x, withDims(finite, x, attrs.axis))))',
      'mul(withDims(g, x, attrs.axis), exp(sub(x, withDims(finite, x, attrs.axis))).detach())',
    ],
  ),
  ...inFile(
    'ops/statistics.ts',
    ['variance: correction ignored in the gradient', '2 / divisor', '2 / countOver(x.shape, axis)'],
    ['variance: not centred in the gradient', 'mul(centered(x, axis), withDims', 'mul(x, withDims'],
    ['std: 0 / 0 for equal values', 'overOrZero(mul(g, 0.5), out)', 'div(mul(g, 0.5), out)'],
  ),
  ...inFile(
    'ops/nn.ts',
    [
      'softmax: summed over the last axis always',
      'sum(mul(g, out), axis, true)',
      'sum(mul(g, out), -1, true)',
    ],
    ['logSoftmax: second derivative cut', 'mul(exp(out), sum', 'mul(exp(out).detach(), sum'],
    [
      'softmax: negative axis not normalised',
      "kind: 'softmax', axis: checkAxis(name, axis, x!.shape.length), log",
      "kind: 'softmax', axis, log",
    ],
  ),
  ...inFile(
    'ops/movement.ts',
    ['transpose: perm not inverted', 'perm.map((_, axis) => perm.indexOf(axis))', 'perm'],
    [
      'transpose: negative axis not normalised',
      'return axis < 0 ? axis + rank : axis',
      'return Math.abs(axis)',
    ],
    [
      'squeeze: takes all sides of 1',
      'shape.filter((_, i) => !axes.includes(i))',
      'shape.filter((side) => side !== 1)',
    ],
  ),
  ...inFile(
    'ops/slicing.ts',
    [
      'slice: gradient put one too early',
      'return call(placeRow, [g], { begin, strides,',
      'return call(placeRow, [g], { begin: begin.map((b) => Math.max(b - 1, 0)), strides,',
    ],
    [
      'slice: gradient ignores strides',
      'return call(placeRow, [g], { begin, strides,',
      'return call(placeRow, [g], { begin, strides: strides.map((s) => Math.sign(s)),',
    ],
    [
      'pad: gradient read from the start',
      'return call(rangeRow, [g], { begin, strides,',
      'return call(rangeRow, [g], { begin: begin.map(() => 0), strides,',
    ],
    ['flip: one axis only', 'flipped.includes(axis) ? -1 : 1', 'flipped[0] === axis ? -1 : 1'],
    [
      'stridedSlice: size rounded down',
      'Math.ceil((to - from) / stride)',
      'Math.trunc((to - from) / stride)',
    ],
    ['split: each part begins at the start', '(begin += size) - size', '0 * (begin += size)'],
  ),
  ...inFile(
    'ops/joining.ts',
    [
      'concat: offset of parts of unlike sizes',
      '(next += shape[axis]!) - shape[axis]!',
      '(next += shape[axis]!) - inputs[0]!.shape[axis]!',
    ],
    [
      'concat: negative axis not normalised',
      "kernel: ({ axis }, [first]) => ({ kind: 'concat', axis: checkAxis('concat', axis, first!.shape.length) })",
      "kernel: ({ axis }) => ({ kind: 'concat', axis })",
    ],
    ['pad symmetric: mirrors without the border', "mode === 'symmetric' ? 1 : 0", '0'],
    [
      'tile: repeats elements, not the whole',
      'shape.flatMap((side) => [1, side])',
      'shape.flatMap((side) => [side, 1])',
    ],
    ['roll: the other way', '((shifts[i]! % side) + side) % side', '((-shifts[i]! % side) + side) % side'],
  ),
  ...inFile(
    'ops/linalg.ts',
    [
      'matmul: flag swapped by a, a transposed',
      'product(b, g, transposeB, true)',
      'product(b, g, !transposeB, true)',
    ],
    ['matmul: flag lost by b, b transposed', 'product(g, a, true, transposeA)', 'product(g, a, true, false)'],
    [
      'matmul: second derivative by b cut',
      'product(a, g, !transposeA, false)',
      'product(a.detach(), g, !transposeA, false)',
    ],
  ),
  ...inFile(
    'ops/indexing.ts',
    [
      'gather: gradient along axis 0 always',
      'scatterAdd(zeros(x.shape, g.dtype), indices, g, axis)',
      'scatterAdd(zeros(x.shape, g.dtype), indices, g, 0)',
    ],
    [
      'scatterAdd: no gradient for what was there',
      'x: ({ g }) => g,\n    indices: null,\n    updates',
      'x: null,\n    indices: null,\n    updates',
    ],
    ['takeAlongAxis: rows of the wrong length', 'mul(rows, side), index)', 'mul(rows, out[along]!), index)'],
  ),
  ...inFile(
    'ops/cumulative.ts',
    [
      'cumsum: gradient in the same direction',
      'call(cumsumRow, [g], { axis, reverse: !reverse })',
      'call(cumsumRow, [g], { axis, reverse })',
    ],
    ['cumprod: factors not shifted in the gradient', '[g, shifted(decay, back, 0)]', '[g, decay]'],
    ['cumprod: what comes in is not 1', 'axis, reverse, initial: 1 }', 'axis, reverse, initial: 0 }'],
  ),
  ...inFile(
    'ops/diagonal.ts',
    ['diagonal: below the main one', '-offset * n', '-offset'],
    ['tril: k in the wrong direction', 'arange(k, m + k, 1', 'arange(-k, m - k, 1'],
  ),
  ...inFile(
    'ops/contraction.ts',
    ['einsum: a transposed operand taken as it is', '...(isAcross ? [k, m] : [m, k])', '...[m, k]'],
    [
      'tensordot: batch labels summed',
      'shared.filter((label) => kept.has(label))',
      'shared.filter((label) => label === kept.values().next().value)',
    ],
  ),
  ...inFile(
    'ops/einsum.ts',
    ['einsum: implied output not sorted', '.toSorted()\n  return', '\n  return'],
    ['einsum: dots counted from the first axis', 'String(count - i)', 'String(i)'],
  ),
  ...inFile(
    'ops/normalization.ts',
    [
      'groupNorm: normalised over the batch',
      '(axis === 0 || axis === grouped.rank - 2 ? [] : [axis])',
      '(axis === grouped.rank - 2 ? [] : [axis])',
    ],
    [
      'rmsNorm: no gradient through the norm',
      'rsqrt(add(mean(square(x!), -1, true), epsilon))',
      'rsqrt(add(mean(square(x!), -1, true), epsilon)).detach()',
    ],
  ),
  ...inFile('ops/recurrent.ts', [
    'lstmCell: gates swapped',
    'const [i, f, candidate, o]',
    'const [f, i, candidate, o]',
  ]),
  ...inFile('ops/attention.ts', ['attention: not scaled', '1 / Math.sqrt(depth)', '1']),

  // ---- shapes and dtypes
  ...inFile(
    'shape.ts',
    ['reductions ignore keepDims', 'else if (keepDims) out.push(1)', ''],
    [
      'negative axis off by one',
      'return axis < 0 ? axis + rank : axis',
      'return axis < 0 ? axis + rank - 1 : axis',
    ],
    [
      'a side of 0 does not broadcast with 1',
      'out[rank - i] = p === 1 ? q : p',
      'out[rank - i] = Math.max(p, q)',
    ],
    ['axes not sorted', 'axes.toSorted((a, b) => a - b)', 'axes'],
  ),
  ...inFile(
    'op.ts',
    [
      'a number is rounded to float32 beside float64',
      'if (isFloat(beside)) return beside',
      "if (isFloat(beside)) return 'float32'",
    ],
    ['indices out of range are not refused', 'if (at >= 0) throw fail', 'if (at === 0) throw fail'],
  ),

  // ---- kernels
  ...inFile(
    'cpu/map.ts',
    [
      'broadcast rows do not start again',
      'starts[i]! -= along[i]! * outer[axis]!',
      'starts[i]! -= along[i]!',
    ],
    [
      'blocks of a formula begin at the first',
      'const ao = starts[x]! + done * advances[x]!',
      'const ao = starts[x]!',
    ],
    [
      'neighbouring axes merged though only one input continues',
      'here.every((stride, i)',
      'here.some((stride, i)',
    ],
  ),
  ...inFile(
    'cpu/matmul.ts',
    ['batches do not broadcast', 'const step = side === 1 ? 0 : stride', 'const step = stride'],
    [
      'passes over k not added up',
      'out.add(to + j, sums[from + j]!, isFirst)',
      'out.add(to + j, sums[from + j]!, true)',
    ],
    [
      'last column of a tile lost',
      'const width = Math.min(4, n - j)',
      'const width = Math.min(4, n - j - (n - j === 3 ? 1 : 0))',
    ],
    [
      'last of an odd number of rows lost',
      'for (let i = 0; i < m; i += 2) {',
      'for (let i = 0; i < m - (m & 1 & +(m > 3)); i += 2) {',
    ],
    [
      'passes over k added one after another',
      'this.#lost[at]! += before - (sum - added) + (next - added)',
      '',
    ],
  ),
  ...inFile(
    'cpu/reduce.ts',
    [
      'pairs: last term lost',
      'partialSum(x, at + half * step, count - half, step)',
      'partialSum(x, at + half * step, count - half - 1, step)',
    ],
    [
      'rows: second half read from the first',
      'sumRows(x, base + half * inner, count - half, inner)',
      'sumRows(x, base, count - half, inner)',
    ],
    [
      'float64 sums one after another',
      'if (count > RUN) {\n    const half = Math.ceil(count / 2 / RUN) * RUN\n    return partialSum',
      'if (count > RUN && !(x instanceof Float64Array)) {\n    const half = Math.ceil(count / 2 / RUN) * RUN\n    return partialSum',
    ],
    [
      'variance: squares of values, not of deviations',
      'partialSquares(x, at, count, step, mean, 1)',
      'partialSquares(x, at, count, step, 0, 1) - count * mean * mean',
    ],
    ['argMax: the last of equals', 'value > extreme', 'value >= extreme'],
    ['max: NaN lost', 'best = Math.max(best, x[at]!)', 'best = x[at]! > best ? x[at]! : best'],
    ['axes with others between them', '!between', 'shape.length > 0'],
  ),
  ...inFile('cpu/softmax.ts', ['maximum not subtracted', 'max = Math.max(max, x[at]!)', 'max = 0']),
  ...inFile('cpu/gather.ts', [
    'repeated indices overwrite',
    'sums[to + i]! += updates[from++]!',
    'sums[to + i]! = x[to + i]! + updates[from++]!',
  ]),
  ...inFile('cpu/cumulate.ts', [
    'direction ignored',
    'const step = reverse ? -inner : inner',
    'const step = inner',
  ]),
  ...inFile('cpu/movement.ts', ['concat: later parts at the start', 'start += width', 'start = width']),

  // ---- kernels of WebAssembly
  ...inFile(
    'wasm/lanes.ts',
    ['select: the last two by the mask of the first', "lane === 'low' ? [0, 4] : [8, 12]", '[0, 4]'],
    [
      'computed in float32 though more is done with it',
      '(rounds || passesOn) && this.#isSingle(x)',
      'this.#isSingle(x)',
    ],
    [
      'constants of float64 cut to float32',
      "(x.kind === 'constant' && Object.is(Math.fround(x.value), x.value))",
      "x.kind === 'constant'",
    ],
    [
      'rounded to float32 too late',
      "this.#rounded(this.#write(body, this.#dtype === 'float32'))",
      "this.#write(body, this.#dtype === 'float32')",
    ],
    ['sign: that of NaN is NaN', 'x, zero, rounds)\n', 'zero, x, rounds)\n'],
  ),
  ...inFile(
    'wasm/map.ts',
    [
      'rows: inputs stay at the first',
      'inputs.forEach((at, i) => c.advance(at, places.inputSteps[i]!))',
      'void c',
    ],
    [
      'truth values are not cut to one bit',
      "c.lane('i32x4', 0).op(0x01010101, 'i32.and')",
      "c.lane('i32x4', 0)",
    ],
  ),
  ...inFile(
    'wasm/matmul.ts',
    ['packed b: rows as long as the panel', 'c.advance(source, columnBytes)', 'c.advance(source, rowBytes)'],
    ['blocks of k added again', 'c.loop(p, k, DEPTH, () => {\n      clear()', 'c.loop(p, k, DEPTH, () => {'],
    [
      'a transposed: steps of the wrong length',
      'transposeA ? c.product(wholeM, 4) : kBytes',
      'transposeA ? kBytes : kBytes',
    ],
    [
      'a turned: rows of the wrong length',
      'const fromStep = c.product(wholeM, 4)',
      'const fromStep = kBytes',
    ],
    [
      'the last turn takes steps beyond the end',
      "c.op(left, u + 1, 'i32.eq').leaveIf(1)",
      "c.op(left, -1, 'i32.eq').leaveIf(1)",
    ],
    ['one column: the last terms lost', "c.op(p, k, 'i32.lt_u')", "c.op(p, k, 'i32.gt_u')"],
  ),
  ...inFile(
    'wasm/reduce.ts',
    ['beyond the end of a row lie zeros', 'c.get(x).f32x4(filler)', 'c.get(x).f32x4(0)'],
    ['variance: mask of the first two for all', 'high: half(high, 2)', 'high: half(high, 0)'],
    [
      'logSumExp: NaN where the largest is infinite',
      ".f32x4(Infinity).op('f32x4.lt', 'v128.bitselect')",
      ".f32x4(Infinity).op('f32x4.le', 'v128.bitselect')",
    ],
    ['argMax: the last of equals', "'f32.gt' : 'f32.lt'", "'f32.ge' : 'f32.le'"],
    [
      'argMax: NaN passed over',
      "c.get(value).get(value).op('f32.ne').get(extreme).get(extreme).op('f32.eq', 'i32.and', 'i32.or')",
      'void c',
    ],
    [
      'columns: what is left reaches into the next row',
      "c.op(left, 4, 'i32.ge_s').ifElse(",
      'c.op(1).ifElse(',
    ],
  ),
  ...inFile(
    'wasm/choose.ts',
    ['variance: correction ignored', "Math.max(count - (op === 'variance' ? correction : 0), 0)", 'count'],
    [
      'a batch of matrices taken as one though b has one for each',
      '(!transposeA && steps[0]![1] === 0 && steps[0]![0] !== 0)',
      '(!transposeA && steps[0]![0] !== 0)',
    ],
    [
      'copies: axes merged though only the output continues',
      'f === from[0]! * n && t === to[0]! * n',
      't === to[0]! * n',
    ],
    ['softmax and its logarithm share code', '`softmax ${log} ${isRows}`', '`softmax ${isRows}`'],
    [
      'permute: perm inverted',
      'perm.map((axis) => own[axis]!)',
      'perm.map((_, axis) => own[perm.indexOf(axis)]!)',
    ],
  ),

  // ---- plans
  ...inFile(
    'plan/simplify.ts',
    ['ops of other numbers count as equal', 'kernel.params.map(exactNumber).join()', "''"],
    [
      'numbers that nobody uses are not drawn',
      "if (source.kind === 'drawn') needed[id] = 1",
      "if (source.kind !== 'drawn') return",
    ],
    ['one check for all limits', '`${value} ${check.limit}`', '`${value}`'],
    [
      'what only a variable needs is dropped',
      '...results, ...assigned.map(({ value }) => value), ...checks',
      '...results, ...checks',
    ],
    [
      'equal ops of other inputs count as equal',
      'source.inputs.map((id) => same[id]).join()',
      'source.inputs.length',
    ],
  ),
  ...inFile(
    'plan/fuse.ts',
    ['what has another shape runs together', '!sameShape(values[input]!.shape, shape) || other', 'other'],
    [
      'what a later kernel reads runs too late for it',
      'consumers[member]!.every((c) => c >= at || groups.get(c) === group) &&',
      '',
    ],
    [
      'a member read under another shape',
      '(input) => roots[input] === input || groups.get(roots[input]!) !== group',
      '() => true',
    ],
    [
      'changes of variables run before all results',
      '[...stages.filter((s) => s.isFirst), ...stages.filter((s) => !s.isFirst)]',
      '[...stages.filter((s) => !s.isFirst), ...stages.filter((s) => s.isFirst)]',
    ],
  ),
  ...inFile('plan/writing.ts', [
    'maps of other strides are one function',
    "${strides.join(' ')} ${apart",
    '${apart',
  ]),
  ...inFile('plan/emit.ts', [
    'functions for these sizes do others',
    "`${isPart ? 'part' : 'all'} ${sizes.join()} ${key}`",
    "`${isPart ? 'part' : 'all'} ${key}`",
  ]),
  ...inFile('plan/rows.ts', [
    'rows joined that need one another',
    'if (known !== undefined && known !== own.steps[i]) return undefined',
    '',
  ]),
  ...inFile(
    'plan/layout.ts',
    ['memory taken again one stage too early', 't.from <= to && from <= t.to', 't.from < to && from < t.to'],
    [
      'constants give their memory away',
      "source.kind === 'constant' || kept.has(id) ? stages.length : to",
      'kept.has(id) ? stages.length : to',
    ],
    [
      'large arguments give their memory away',
      "source.kind === 'constant' || kept.has(id) ? stages.length : to",
      "source.kind === 'constant' ? stages.length : to",
    ],
    ['what is joined begins where it is read', 'begun.get(id) ?? stageOf.get(id)!', 'stageOf.get(id)!'],
    ['a variable written over while it is read', 'if (stages.slice(at + 1).some(isRead)) return false', ''],
    [
      'a variable written over though another takes its value',
      'if (program.assigned.some(({ value }) => roots[value] === old)) return false',
      '',
    ],
    ['rows written over in place', 'if (!isFlat(program, stages[at]!)) return false', ''],
    [
      'no room for the end of a vector',
      'size: padded(bytesOf(program, id))',
      'size: (bytesOf(program, id) + 3) & ~3',
    ],
  ),
  ...inFile(
    'plan/capture.ts',
    ['-0 and 0 are one constant', "Object.is(values[0], -0) ? '-0' : values[0]", 'values[0]'],
    [
      'variables assigned to twice are not restored to what they held first',
      'if (!this.#before.has(variable)) this.#before.set(variable, before)',
      'this.#before.set(variable, before)',
    ],
    [
      'numbers drawn once are drawn for ever',
      "return this.#add(aval, { kind: 'drawn', make })",
      'return this.upload(make(), aval)',
    ],
  ),

  // ---- the tape and the backward pass
  ...inFile(
    'backward.ts',
    ['fan-out: the last gradient wins', 'sum === undefined ? next : add(sum, next)', 'next'],
    [
      'mul(x, x) counts once',
      'if (parent < 0 || isNeeded[parent] === 0) continue',
      'if (parent < 0 || isNeeded[parent] === 0 || parents.indexOf(parents[i]!) < i) continue',
    ],
    [
      'broadcast: sides of 1 not summed back',
      'if (axis < extra || (own === 1 && cotangent.shape[axis] !== 1))',
      'if (axis < extra)',
    ],
    [
      'broadcast: second derivative cut',
      'const summed = sum(cotangent, axes)',
      'const summed = sum(cotangent.detach(), axes)',
    ],
    [
      'cotangents keep the dtype of the output',
      'fitted.dtype === primal.dtype ? fitted : cast(fitted, primal.dtype)',
      'fitted',
    ],
    [
      'only first arguments are followed',
      'if (parents[k]! >= start) needed[i]',
      'if (k === 0 && parents[k]! >= start) needed[i]',
    ],
    [
      'the mask of one part counts for the whole',
      'else if (this.#reaches[index] !== reach) this.#reaches[index] = undefined',
      '',
    ],
    [
      'seeds of one value do not add up',
      'if (position >= start) cotangents',
      'if (position >= start && cotangents.at(position - start) === undefined) cotangents',
    ],
  ),
  ...inFile(
    'tape.ts',
    ['arguments are not renamed', 'const alias = value.alias()', 'const alias = value'],
    ['renamed arguments forget what they were', 'parents: [positionOf(value)]', 'parents: [-1]'],
    [
      'positions of closed scopes count',
      'p >= 0 && p < entries.length && entries[p]!.out === tensor',
      'p >= 0 && p < entries.length',
    ],
    [
      'recording stays off after an error',
      'try {\n    return f()\n  } finally {\n    muted = before\n  }',
      'const result = f()\n  muted = before\n  return result',
    ],
    ['gradients of gradients are not recorded', 'return open.length - 1 <= muted', 'return true'],
    ['a scope closes another', 'open.splice(open.indexOf(this), 1)', 'open.pop()'],
    [
      'inner scope takes what the outer needs',
      'forget || (this.#isUnseen && open.length <= muted)',
      'forget || open.length > 0',
    ],
    ['a tensor stays watched', 'tensor.position = before', 'tensor.position ||= before'],
    [
      'assigned values are not watched',
      'for (const scope of open) if (scope.watches(variable)) scope.watch(variable, value as Tensor)',
      'void value',
    ],
    ['variables are watched though not trainable', '!variable.trainable || !isFloat', '!isFloat'],
    [
      'what checkpoint recomputes stays on the tape',
      'forget || (this.#isUnseen && open.length <= muted)',
      'forget',
    ],
  ),
  ...inFile(
    'transforms.ts',
    ['only the first value of a variable counts', 'parts.reduce((a, b) => a.add(b))', 'parts[0]!'],
    [
      'gradients of later arguments are those of the first',
      'next += part.leaves.length))),\n    )\n    return [value',
      'part.leaves.length))),\n    )\n    return [value',
    ],
  ),
  ...inFile(
    'derivatives.ts',
    ['hvp: first tangent for all', 'sum(g.mul(ts[i]!))', 'sum(g.mul(ts[0]!))'],
    ['jacobian: shape of x first', '[...out.shape, ...x.shape]', '[...x.shape, ...out.shape]'],
  ),
  ...inFile(
    'checkpoint.ts',
    ['variables inside get no gradient', 'for (const v of variables) v.read()', ''],
    ['tensors from outside get no gradient', '[...values, ...outside]', 'values'],
  ),
  ...inFile('custom-gradient.ts', [
    'gradients are not checked',
    'if (!sameShape(g.shape, input.shape))',
    'if (!g)',
  ]),
  ...inFile(
    'bundle.ts',
    ['cotangents of several results all from the first', 'begin += x.size', 'begin += 0'],
    ['several results are recorded one by one', 'floats.length < 2', 'floats.length < 9'],
  ),
  ...inFile(
    'slice-text.ts',
    ['position -1 takes nothing', 'take(at, at === -1 ? null : at + 1, null)', 'take(at, at + 1, null)'],
    [
      'dots stand for one axis too few',
      'keepWhole(shape.length - used)',
      'keepWhole(shape.length - used - 1)',
    ],
  ),
  ...inFile(
    'gradient-tape.ts',
    ['not released after a gradient', 'if (!this.#persistent) this.close()', ''],
    ['stays open after an await', 'for (const open of stillOpen) open.abandon()', ''],
  ),
  ...inFile('backend.ts', [
    'withBackend: not restored after an error',
    '  } finally {\n    current = before\n  }',
    '  } finally {\n    void before\n  }',
  ]),
  ...inFile('anomaly.ts', [
    'detectAnomalies: stays on after an error',
    '    return result\n  } finally {\n    depth--\n  }',
    '    depth--\n    return result\n  } finally {\n  }',
  ]),
]
