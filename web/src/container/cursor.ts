/** Reads bytes that nobody vouches for, strictly forwards. A length is compared with what is left first. */

import { corrupt, unsupported } from "../errors.js";

export class Cursor {
  at = 0;
  /** Of no class of its own: a Buffer's `slice` is a view of the caller's memory, where it begins anywhere. */
  readonly bytes: Uint8Array;

  constructor(
    bytes: Uint8Array,
    /** What is being read, for messages. */
    readonly what: string,
  ) {
    const kind = Object.prototype.toString.call(bytes).slice(8, -1); // the same in every frame, unlike instanceof
    if (kind !== "Uint8Array") throw new TypeError(`${what} must be given as a Uint8Array, not as ${kind}`);
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** The next `count` bytes, a view. */
  take(count: number, name: string): Uint8Array {
    if (count > this.left) {
      throw corrupt(`${this.what} ends early: ${name} takes ${count} bytes, ${this.left} are left`);
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  u8(name: string): number {
    return this.take(1, name)[0]!;
  }

  u32(name: string): number {
    const b = this.take(4, name);
    return (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
  }

  /** A LEB128 integer in its shortest form within `low..high`, both below 2^53. */
  varint(name: string, low: number, high: number): number {
    const value = this.bigVarint(name);
    if (value < BigInt(low) || value > BigInt(high)) {
      throw corrupt(`${this.what}: ${name} is ${value}, legal: ${low}..${high}`);
    }
    return Number(value);
  }

  /** A LEB128 integer in its shortest form, below 2^64. */
  bigVarint(name: string): bigint {
    let small = 0;
    for (let shift = 1, count = 0; count < 4; count++, shift *= 128) {
      const byte = this.u8(name);
      small += (byte & 127) * shift;
      if (byte < 128) {
        if (byte === 0 && count > 0) throw corrupt(`${this.what}: ${name} is a padded number`);
        return BigInt(small);
      }
    }
    let value = BigInt(small);
    for (let count = 4; count < 10; count++) {
      const byte = this.u8(name);
      value += BigInt(byte & 127) << BigInt(7 * count);
      if (byte < 128) {
        if (byte === 0) throw corrupt(`${this.what}: ${name} is a padded number`);
        if (value >> 64n) break;
        return value;
      }
    }
    throw corrupt(`${this.what}: ${name} is above 2^64 - 1`);
  }

  /** Nothing may follow. */
  end(): void {
    if (this.left) throw corrupt(`${this.what}: ${this.left} bytes too many at the end`);
  }
}

export const MAGIC_TAIL = [0x49, 0x4e, 0x54, 0x0d, 0x0a, 0x1a, 0x0a];

/** The eight bytes that every file begins with, and the version. */
export function readMagic(cursor: Cursor, first: number, what: string): void {
  const magic = cursor.take(Math.min(8, cursor.left), "the magic");
  if (magic.length >= 4 && magic[0] === first && MAGIC_TAIL.slice(0, 3).every((b, i) => magic[i + 1] === b)) {
    if (magic.length < 8) throw corrupt(`${what} was cut short: it has ${magic.length} bytes`);
    if (!MAGIC_TAIL.every((b, i) => magic[i + 1] === b)) {
      throw corrupt(`${what} was damaged on its way: line ends were changed, as in a transfer of text`);
    }
  }
  if (magic.length < 8 || magic[0] !== first || !MAGIC_TAIL.every((b, i) => magic[i + 1] === b)) {
    throw corrupt(`this is not ${what}`);
  }
  const version = cursor.u8("the version");
  if (version >> 4 !== 1) {
    throw unsupportedVersion(what, version);
  }
}

function unsupportedVersion(what: string, version: number) {
  return unsupported(`${what} of version ${version >> 4}.${version & 15}; this decoder reads 1.x`);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
