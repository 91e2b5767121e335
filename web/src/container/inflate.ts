/**
 * zlib streams (RFC 1950, 1951) of a known size. Our own, because the browser's is asynchronous and says
 * nothing about bytes that follow the stream. Nothing in `data` is trusted; no more than `size` bytes are made.
 */

import { corrupt } from "../errors.js";

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A canonical prefix code: how many codes of each length, and the symbols in order. */
interface Code {
  counts: Uint16Array;
  symbols: Uint16Array;
}

function codeOf(lengths: ArrayLike<number>, kind: "literal" | "distance" | "length"): Code {
  const counts = new Uint16Array(16);
  for (let i = 0; i < lengths.length; i++) counts[lengths[i]!]!++;
  let left = 1;
  let used = 0;
  for (let bits = 1; bits < 16; bits++) {
    left = 2 * left - counts[bits]!;
    used += counts[bits]!;
    if (left < 0) throw corrupt("a zlib stream has too many codes");
  }
  // An incomplete code is legal only as a single code of one bit (none at all for distances).
  if (left > 0 && (kind === "length" || used > 1 || (used === 1 && counts[1] !== 1))) {
    throw corrupt("a zlib stream has an incomplete code");
  }
  const offsets = new Uint16Array(16);
  for (let bits = 1; bits < 15; bits++) offsets[bits + 1] = offsets[bits]! + counts[bits]!;
  const symbols = new Uint16Array(used);
  for (let i = 0; i < lengths.length; i++) {
    const bits = lengths[i]!;
    if (bits) symbols[offsets[bits]!++] = i;
  }
  counts[0] = 0;
  return { counts, symbols };
}

const FIXED = (() => {
  const lengths = new Uint8Array(288);
  lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
  return {
    literals: codeOf(lengths, "literal"),
    distances: codeOf(new Uint8Array(32).fill(5), "distance"),
  };
})();

class Bits {
  private held = 0;
  private count = 0;

  constructor(
    private readonly data: Uint8Array,
    public at: number,
  ) {}

  read(bits: number): number {
    while (this.count < bits) {
      if (this.at >= this.data.length) throw corrupt("a zlib stream ends early");
      this.held |= this.data[this.at++]! << this.count;
      this.count += 8;
    }
    const value = this.held & ((1 << bits) - 1);
    this.held >>>= bits;
    this.count -= bits;
    return value;
  }

  symbol(code: Code): number {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits < 16; bits++) {
      value |= this.read(1);
      const count = code.counts[bits]!;
      if (value - count < first) return code.symbols[index + value - first]!;
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw corrupt("a zlib stream has an illegal code");
  }

  /** Drops the rest of the byte that was begun. */
  align(): void {
    this.held = 0;
    this.count = 0;
  }
}

/**
 * The `size` bytes of a zlib stream that `data` is, from its first byte to its last.
 *
 * @param fewer whether it may also be fewer bytes.
 */
export function inflate(data: Uint8Array, size: number, what: string, fewer = false): Uint8Array<ArrayBuffer> {
  const head = data.length < 2 ? 1 : data[0]! * 256 + data[1]!;
  if (head % 31 || (head >> 8) % 16 !== 8 || head >> 12 > 7 || head & 32) {
    throw corrupt(`${what} is no zlib stream`);
  }
  const window = 1 << ((head >> 12) + 8);
  const out = new Uint8Array(size);
  const bits = new Bits(data, 2);
  let filled = 0;
  for (let last = 0; !last; ) {
    last = bits.read(1);
    const type = bits.read(2);
    if (type === 3) throw corrupt(`${what}: a zlib block of no kind`);
    if (type === 0) {
      bits.align();
      const count = bits.read(16);
      if ((bits.read(16) ^ count) !== 0xffff) throw corrupt(`${what}: a zlib block is damaged`);
      if (count > size - filled) throw corrupt(`${what} inflates to more than ${size} bytes`);
      if (count > data.length - bits.at) throw corrupt(`${what}: the zlib stream ends early`);
      out.set(data.subarray(bits.at, bits.at + count), filled);
      bits.at += count;
      filled += count;
      continue;
    }
    const { literals, distances } = type === 1 ? FIXED : readCodes(bits);
    for (;;) {
      const symbol = bits.symbol(literals);
      if (symbol === 256) break;
      if (symbol < 256) {
        if (filled === size) throw corrupt(`${what} inflates to more than ${size} bytes`);
        out[filled++] = symbol;
        continue;
      }
      if (symbol > 285) throw corrupt(`${what}: a zlib stream has an illegal length`);
      const length = LENGTH_BASE[symbol - 257]! + bits.read(LENGTH_EXTRA[symbol - 257]!);
      const from = bits.symbol(distances);
      if (from > 29) throw corrupt(`${what}: a zlib stream has an illegal distance`);
      const distance = DISTANCE_BASE[from]! + bits.read(from < 2 ? 0 : (from >> 1) - 1);
      if (distance > filled || distance > window) {
        throw corrupt(`${what}: a zlib stream looks back too far`);
      }
      if (length > size - filled) throw corrupt(`${what} inflates to more than ${size} bytes`);
      for (let i = 0; i < length; i++, filled++) out[filled] = out[filled - distance]!;
    }
  }
  if (filled !== size && !fewer) throw corrupt(`${what} inflates to ${filled} bytes, not ${size}`);
  const end = data.subarray(bits.at);
  const result = out.subarray(0, filled);
  const sum = adler32(result);
  if (end.length < 4) throw corrupt(`${what}: the zlib stream ends early`);
  if (((end[0]! << 24) | (end[1]! << 16) | (end[2]! << 8) | end[3]!) >>> 0 !== sum) {
    throw corrupt(`${what}: the checksum of its zlib stream is wrong`);
  }
  if (end.length > 4) throw corrupt(`${what}: ${end.length - 4} bytes follow its zlib stream`);
  return result;
}

function readCodes(bits: Bits): { literals: Code; distances: Code } {
  const literals = bits.read(5) + 257;
  const distances = bits.read(5) + 1;
  const count = bits.read(4) + 4;
  if (literals > 286 || distances > 30) throw corrupt("a zlib stream has too many codes");
  const first = new Uint8Array(19);
  for (let i = 0; i < count; i++) first[ORDER[i]!] = bits.read(3);
  const code = codeOf(first, "length");
  const lengths = new Uint8Array(literals + distances);
  for (let i = 0; i < lengths.length; ) {
    const symbol = bits.symbol(code);
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) throw corrupt("a zlib stream repeats nothing");
    const value = symbol === 16 ? lengths[i - 1]! : 0;
    const times = symbol === 16 ? 3 + bits.read(2) : symbol === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
    if (times > lengths.length - i) throw corrupt("a zlib stream repeats too often");
    lengths.fill(value, i, i + times);
    i += times;
  }
  if (lengths[256] === 0) throw corrupt("a zlib stream has no end");
  return {
    literals: codeOf(lengths.subarray(0, literals), "literal"),
    distances: codeOf(lengths.subarray(literals), "distance"),
  };
}

function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let i = 0; i < bytes.length; ) {
    const end = Math.min(i + 3800, bytes.length);
    for (; i < end; i++) {
      a += bytes[i]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return (b * 65536 + a) >>> 0;
}
