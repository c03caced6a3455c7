import {
  append,
  float32Bytes,
  float64Bytes,
  type FunctionSource,
  pushSigned,
  pushUnsigned,
  unsigned,
  type ValueType,
} from './encoder.js'

/** A parameter or local of the function that is being written. */
export interface Local {
  readonly index: number
  readonly type: ValueType
}

/** A whole number that is known when the code is written, or held by a local when it runs. */
export type Int = number | Local

/** Instructions without immediates. */
const PLAIN = {
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.mul': [0x6c],
  'i32.and': [0x71],
  'i32.or': [0x72],
  'i32.shl': [0x74],
  'i32.eqz': [0x45],
  'i32.eq': [0x46],
  'i32.ne': [0x47],
  'i32.lt_u': [0x49],
  'i32.lt_s': [0x48],
  'i32.ge_u': [0x4f],
  'i32.ge_s': [0x4e],
  'i32.gt_u': [0x4b],
  'i32.gt_s': [0x4a],
  'i32.le_u': [0x4d],
  'f64.add': [0xa0],
  'f64.sub': [0xa1],
  'f64.mul': [0xa2],
  'f64.div': [0xa3],
  'f64.sqrt': [0x9f],
  'f64.max': [0xa5],
  'f64.min': [0xa4],
  'f64.promote_f32': [0xbb],
  'f32.demote_f64': [0xb6],
  'f32.add': [0x92],
  'f32.max': [0x97],
  'f32.min': [0x96],
  'f32.eq': [0x5b],
  'f32.ne': [0x5c],
  'f32.lt': [0x5d],
  'f32.gt': [0x5e],
  'f64.eq': [0x61],
  'f64.ne': [0x62],
  'f64.lt': [0x63],
  'f64.gt': [0x64],
  'f64.convert_i32_s': [0xb7],
  'f64.convert_i32_u': [0xb8],
  'i32.trunc_sat_f64_s': [0xfc, 0x02],
  select: [0x1b],
  drop: [0x1a],
  return: [0x0f],
} as const

/** Vector instructions (prefix 0xfd) without immediates. */
const VECTOR = {
  'i8x16.swizzle': 14,
  'i32x4.splat': 17,
  'f32x4.splat': 19,
  'f64x2.splat': 20,
  'i32x4.eq': 55,
  'i32x4.lt_s': 57,
  'f32x4.eq': 65,
  'f32x4.ne': 66,
  'f32x4.lt': 67,
  'f32x4.gt': 68,
  'f32x4.le': 69,
  'f32x4.ge': 70,
  'f64x2.eq': 71,
  'f64x2.ne': 72,
  'f64x2.lt': 73,
  'f64x2.gt': 74,
  'f64x2.le': 75,
  'f64x2.ge': 76,
  'v128.not': 77,
  'v128.and': 78,
  'v128.andnot': 79,
  'v128.or': 80,
  'v128.xor': 81,
  'v128.bitselect': 82,
  'v128.any_true': 83,
  'f32x4.demote_f64x2_zero': 94,
  'f64x2.promote_low_f32x4': 95,
  'i8x16.narrow_i16x8_u': 102,
  'i8x16.narrow_i16x8_s': 101,
  'f32x4.ceil': 103,
  'f32x4.floor': 104,
  'f32x4.trunc': 105,
  'f32x4.nearest': 106,
  'f64x2.ceil': 116,
  'f64x2.floor': 117,
  'f64x2.trunc': 122,
  'i16x8.narrow_i32x4_s': 133,
  'i16x8.extend_low_i8x16_u': 137,
  'f64x2.nearest': 148,
  'i32x4.extend_low_i16x8_u': 169,
  'i32x4.shl': 171,
  'i32x4.shr_s': 172,
  'i32x4.shr_u': 173,
  'i32x4.add': 174,
  'i32x4.sub': 177,
  'i32x4.mul': 181,
  'i64x2.shl': 203,
  'i64x2.shr_s': 204,
  'i64x2.shr_u': 205,
  'i64x2.add': 206,
  'i64x2.sub': 209,
  'f32x4.abs': 224,
  'f32x4.neg': 225,
  'f32x4.sqrt': 227,
  'f32x4.add': 228,
  'f32x4.sub': 229,
  'f32x4.mul': 230,
  'f32x4.div': 231,
  'f32x4.min': 232,
  'f32x4.max': 233,
  'f32x4.pmin': 234,
  'f32x4.pmax': 235,
  'f64x2.abs': 236,
  'f64x2.neg': 237,
  'f64x2.sqrt': 239,
  'f64x2.add': 240,
  'f64x2.sub': 241,
  'f64x2.mul': 242,
  'f64x2.div': 243,
  'f64x2.min': 244,
  'f64x2.max': 245,
  'f64x2.pmin': 246,
  'i32x4.trunc_sat_f32x4_s': 248,
  'f32x4.convert_i32x4_s': 250,
  'f32x4.convert_i32x4_u': 251,
  'i32x4.trunc_sat_f64x2_s_zero': 252,
  'f64x2.convert_low_i32x4_s': 254,
  /** x y + z in one rounding, where the processor can. Of relaxed SIMD. */
  'f32x4.relaxed_madd': 261,
} as const

/** Loads and stores: opcode, and the power of two that addresses are (at least) aligned to. */
const MEMORY = {
  'i32.load': [[0x28], 2],
  'i32.load8_u': [[0x2d], 0],
  'f32.load': [[0x2a], 2],
  'f64.load': [[0x2b], 3],
  'i32.store': [[0x36], 2],
  'i32.store8': [[0x3a], 0],
  'f32.store': [[0x38], 2],
  'f64.store': [[0x39], 3],
  'v128.load': [[0xfd, 0], 2],
  'v128.load32_splat': [[0xfd, 9], 2],
  'v128.load64_splat': [[0xfd, 10], 2],
  'v128.store': [[0xfd, 11], 2],
  'v128.load32_zero': [[0xfd, 92], 0],
  'v128.load64_zero': [[0xfd, 93], 2],
} as const

export type Instruction = keyof typeof PLAIN | keyof typeof VECTOR

const BYTES: ReadonlyMap<string, readonly number[]> = new Map([
  ...Object.entries<readonly number[]>(PLAIN),
  ...Object.entries(VECTOR).map(([name, code]): [string, number[]] => [name, [0xfd, ...unsigned(code)]]),
])

export type MemoryInstruction = keyof typeof MEMORY

/** Writes one function: a stack machine's instructions, with loops and named locals. */
export class Code {
  readonly #bytes: number[] = []
  readonly #params: ValueType[] = []
  readonly #locals: ValueType[] = []
  #hasLocals = false

  param(type: ValueType): Local {
    if (this.#hasLocals) throw new Error('parameters come before locals')
    return { index: this.#params.push(type) - 1, type }
  }

  local(type: ValueType): Local {
    this.#hasLocals = true
    return { index: this.#params.length + this.#locals.push(type) - 1, type }
  }

  /** Appends instructions, in order. Numbers and locals stand for themselves as i32. */
  op(...items: readonly (Instruction | Int)[]): this {
    for (const item of items) {
      if (typeof item === 'number') {
        this.#bytes.push(0x41)
        pushSigned(this.#bytes, item)
      } else if (typeof item === 'object') this.get(item)
      else append(this.#bytes, BYTES.get(item)!)
    }
    return this
  }

  /** A byte, and a number that belongs to it. */
  #with(byte: number, value: number): this {
    this.#bytes.push(byte)
    pushUnsigned(this.#bytes, value)
    return this
  }

  get(local: Local): this {
    return this.#with(0x20, local.index)
  }

  set(local: Local): this {
    return this.#with(0x21, local.index)
  }

  tee(local: Local): this {
    return this.#with(0x22, local.index)
  }

  /** A load or store at the address on the stack (under the value, for a store) plus `offset` bytes. */
  memory(instruction: MemoryInstruction, offset: number = 0): this {
    const [opcode, align] = MEMORY[instruction]
    append(this.#bytes, opcode)
    return this.#with(align, offset)
  }

  f64(value: number): this {
    this.#bytes.push(0x44, ...float64Bytes(value))
    return this
  }

  f32(value: number): this {
    this.#bytes.push(0x43, ...float32Bytes(value))
    return this
  }

  /** A vector of the same number in all lanes. */
  f32x4(value: number): this {
    const bytes = float32Bytes(value)
    this.#bytes.push(0xfd, 12, ...bytes, ...bytes, ...bytes, ...bytes)
    return this
  }

  f64x2(value: number): this {
    const bytes = float64Bytes(value)
    this.#bytes.push(0xfd, 12, ...bytes, ...bytes)
    return this
  }

  i32x4(lanes: readonly number[]): this {
    this.#bytes.push(0xfd, 12, ...new Uint8Array(Int32Array.from(lanes).buffer))
    return this
  }

  i64x2(value: bigint): this {
    const bytes = [...new Uint8Array(BigInt64Array.of(value).buffer)]
    this.#bytes.push(0xfd, 12, ...bytes, ...bytes)
    return this
  }

  /** Picks bytes of the two vectors on the stack: lanes below 16 from the first. */
  shuffle(lanes: readonly number[]): this {
    this.#bytes.push(0xfd, 13, ...lanes)
    return this
  }

  /** One lane of the vector on the stack. */
  lane(shape: 'f32x4' | 'f64x2' | 'i32x4', lane: number): this {
    this.#bytes.push(0xfd, shape === 'f32x4' ? 31 : shape === 'f64x2' ? 33 : 27, lane)
    return this
  }

  /** Stores one 32-bit or 64-bit lane of the vector on the stack. */
  storeLane(bits: 32 | 64, offset: number, lane: number): this {
    this.#bytes.push(0xfd, bits === 32 ? 90 : 91, 2, ...unsigned(offset), lane)
    return this
  }

  /** Replaces one lane of the vector under the address-loaded 32 bits. */
  loadLane32(offset: number, lane: number): this {
    this.#bytes.push(0xfd, 86, 2, ...unsigned(offset), lane)
    return this
  }

  call(functionIndex: number): this {
    return this.#with(0x10, functionIndex)
  }

  /** Copies `bytes` from one address to another. */
  copy(to: Int, from: Int, bytes: Int): this {
    this.op(to, from, bytes)
    this.#bytes.push(0xfc, 10, 0, 0)
    return this
  }

  /** Fills `bytes` at an address with zeros. */
  clear(to: Int, bytes: Int): this {
    return this.fill(to, 0, bytes)
  }

  /** Fills `bytes` at an address with the lowest byte of `value`. */
  fill(to: Int, value: Int, bytes: Int): this {
    this.op(to, value, bytes)
    this.#bytes.push(0xfc, 11, 0)
    return this
  }

  /** `body`, which {@link leaveIf} may end. */
  block(body: () => void): this {
    this.#bytes.push(0x02, 0x40)
    body()
    this.#bytes.push(0x0b)
    return this
  }

  /** Ends the block around so many loops and blocks, if the number on the stack is not 0. */
  leaveIf(around: number): this {
    this.#bytes.push(0x0d, around)
    return this
  }

  /** `body` again and again, as long as it leaves a number other than 0. */
  repeat(body: () => void): this {
    this.#bytes.push(0x03, 0x40)
    body()
    this.#bytes.push(0x0d, 0, 0x0b)
    return this
  }

  /** `body` again and again until `counter`, moved on by `step` after each time, is not below `end`. Runs at least once. */
  loop(counter: Local, end: Int, step: Int, body: () => void): this {
    this.#bytes.push(0x03, 0x40)
    body()
    this.op(counter, step, 'i32.add')
    this.tee(counter)
    this.op(end, 'i32.lt_u')
    this.#bytes.push(0x0d, 0, 0x0b)
    return this
  }

  /** `body` for each `step` of `count` things: the last ones overlap those before them. Where there are fewer, once. */
  each(count: Int, step: number, body: (at: Local) => void): this {
    const at = this.copyOf(0)
    if (count === step) {
      body(at)
      return this
    }
    // Of numbers without a sign: where there are fewer than a step this is very large.
    const last = this.sum(count, -step)
    const next = this.copyOf(0)
    return this.loop(next, count, step, () => {
      this.op(next, last, next, last, 'i32.lt_u', 'select').set(at)
      body(at)
    })
  }

  /** `body`, if the number on the stack is not 0. */
  if(body: () => void): this {
    this.#bytes.push(0x04, 0x40)
    body()
    this.#bytes.push(0x0b)
    return this
  }

  ifElse(body: () => void, otherwise: () => void): this {
    this.#bytes.push(0x04, 0x40)
    body()
    this.#bytes.push(0x05)
    otherwise()
    this.#bytes.push(0x0b)
    return this
  }

  /** As {@link ifElse}, leaving a value of this type. */
  choose(type: 'i32' | 'f64', body: () => void, otherwise: () => void): this {
    this.#bytes.push(0x04, type === 'i32' ? 0x7f : 0x7c)
    body()
    this.#bytes.push(0x05)
    otherwise()
    this.#bytes.push(0x0b)
    return this
  }

  /** Sets `local` to the product or sum of whole numbers, folded where both are known. */
  product(a: Int, b: Int): Int {
    if (typeof a === 'number' && typeof b === 'number') return a * b
    if (a === 0 || b === 0) return 0
    if (a === 1) return b
    if (b === 1) return a
    const result = this.local('i32')
    this.op(a, b, 'i32.mul').set(result)
    return result
  }

  sum(a: Int, b: Int): Int {
    if (typeof a === 'number' && typeof b === 'number') return a + b
    if (a === 0) return b
    if (b === 0) return a
    const result = this.local('i32')
    this.op(a, b, 'i32.add').set(result)
    return result
  }

  /** A local with a copy of `value`, free to be changed. */
  copyOf(value: Int): Local {
    const result = this.local('i32')
    this.op(value).set(result)
    return result
  }

  /** Moves `local` on by `by`. */
  advance(local: Local, by: Int): this {
    if (by === 0) return this
    return this.op(local, by, 'i32.add').set(local)
  }

  /** The finished function. */
  source(name: string, results: readonly ValueType[] = []): FunctionSource {
    return { name, params: this.#params, results, locals: this.#locals, body: this.#bytes }
  }
}
