/** Model content: a tree of values, and its skeleton. docs/spec/container.md, "Model content". */

import { corrupt } from "../errors.js";
import { Cursor } from "./cursor.js";

export const TYPES = ["int8", "uint8", "int16", "uint16", "int32", "int64", "float32"] as const;
export type ArrayType = (typeof TYPES)[number];
const BYTES: Record<ArrayType, number> = {
  int8: 1, uint8: 1, int16: 2, uint16: 2, int32: 4, int64: 8, float32: 4,
};

const IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** An array of a tree. `data` are its bytes in C order, little-endian; empty until it was unpacked. */
export class TreeArray {
  data: Uint8Array = new Uint8Array(0);

  constructor(
    readonly type: ArrayType,
    readonly shape: number[],
  ) {}

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  get itemBytes(): number {
    return BYTES[this.type];
  }

  get numBytes(): number {
    return this.size * this.itemBytes;
  }

  /** The integers of an array of at most 32 bits. */
  integers(): Int32Array {
    const out = new Int32Array(this.size);
    if (this.type === "int16" && IS_LITTLE) {
      const values = new Int16Array(this.data.slice().buffer); // aligned
      for (let i = 0; i < out.length; i++) out[i] = values[i]!;
      return out;
    }
    const view = new DataView(this.data.buffer, this.data.byteOffset, this.data.byteLength);
    for (let i = 0; i < out.length; i++) {
      switch (this.type) {
        case "int8": out[i] = view.getInt8(i); break;
        case "uint8": out[i] = view.getUint8(i); break;
        case "int16": out[i] = view.getInt16(2 * i, true); break;
        case "uint16": out[i] = view.getUint16(2 * i, true); break;
        default: out[i] = view.getInt32(4 * i, true);
      }
    }
    return out;
  }
}

/** Integers are numbers where a number holds them exactly, else bigint. */
export type Tree = number | bigint | string | Uint8Array | Tree[] | Map<string, Tree> | TreeArray;

const MAX_DEPTH = 32;
const MAX_VALUES = 2 ** 16;
const MAX_CONTENT = 2 ** 28;

export interface Bones {
  tree: Tree;
  arrays: TreeArray[];
  /** Where each array's data belongs in the skeleton. */
  places: number[];
}

/** Read a skeleton: the canonical bytes without arrays' data. */
export function readSkeleton(bytes: Uint8Array): Bones {
  const cursor = new Cursor(bytes, "the model's content");
  const bones: Bones = { tree: 0, arrays: [], places: [] };
  bones.tree = new Reader(cursor, bones).value(0);
  cursor.end();
  return bones;
}

class Reader {
  private values = 0;

  constructor(
    private readonly cursor: Cursor,
    private readonly bones: Bones,
  ) {}

  value(depth: number): Tree {
    const { cursor } = this;
    if (++this.values > MAX_VALUES) throw corrupt("the model's content has more than 65536 values");
    const tag = cursor.u8("a value");
    switch (tag) {
      case 1: {
        const zigzag = cursor.bigVarint("an integer");
        const value = zigzag & 1n ? -((zigzag + 1n) >> 1n) : zigzag >> 1n;
        if (value === -(2n ** 63n)) throw corrupt("the model's content has an integer of -2^63");
        return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value;
      }
      case 2:
        return this.text("a text");
      case 3:
        return cursor.take(cursor.varint("the length of bytes", 0, MAX_CONTENT), "bytes");
      case 4: {
        const count = this.count(depth);
        return Array.from({ length: count }, () => this.value(depth + 1));
      }
      case 5: {
        const count = this.count(depth);
        const map = new Map<string, Tree>();
        let before: Uint8Array | null = null;
        for (let i = 0; i < count; i++) {
          const start = cursor.at;
          const key = this.text("a key");
          const spelled = keyBytes(cursor.bytes.subarray(start, cursor.at));
          if (before !== null && !ascends(before, spelled)) {
            throw corrupt("the keys of the model's content do not ascend");
          }
          before = spelled;
          map.set(key, this.value(depth + 1));
        }
        return map;
      }
      case 6:
        return this.array();
      default:
        throw corrupt(`the model's content has a value of kind ${tag}; legal: 1..6`);
    }
  }

  private count(depth: number): number {
    if (depth >= MAX_DEPTH) throw corrupt("the model's content is nested more than 32 times");
    const count = this.cursor.varint("a number of values", 0, MAX_VALUES);
    if (count > this.cursor.left) throw corrupt("the model's content ends early");
    return count;
  }

  private text(name: string): string {
    const length = this.cursor.varint(`the length of ${name}`, 0, MAX_CONTENT);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.cursor.take(length, name));
    } catch (error) {
      if (error instanceof TypeError) throw corrupt(`${name} in the model's content is not UTF-8`);
      throw error;
    }
  }

  private array(): TreeArray {
    const { cursor, bones } = this;
    const code = cursor.u8("the type of an array");
    const type = TYPES[code];
    if (type === undefined) throw corrupt(`the model's content has an array of type ${code}; legal: 0..6`);
    const axes = cursor.varint("the number of an array's axes", 0, 8);
    const shape: number[] = [];
    let claimed = BYTES[type];
    for (let i = 0; i < axes; i++) {
      const size = cursor.varint("the size of an array's axis", 0, MAX_CONTENT);
      claimed *= Math.max(size, 1);
      if (claimed > MAX_CONTENT) throw corrupt("the model's content has an array of more than 2^28 bytes");
      shape.push(size);
    }
    const array = new TreeArray(type, shape);
    bones.arrays.push(array);
    bones.places.push(cursor.at);
    return array;
  }
}

/** A key without its length, of which it is told by the high bits. */
function keyBytes(spelled: Uint8Array): Uint8Array {
  let at = 0;
  while (spelled[at]! & 128) at++;
  return spelled.subarray(at + 1);
}

function ascends(a: Uint8Array, b: Uint8Array): boolean {
  const count = Math.min(a.length, b.length);
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a.length < b.length;
}
