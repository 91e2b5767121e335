/** The blobs of a model file's arrays. docs/spec/container.md, "Blobs". */

import { apportion } from "../bits/apportion.js";
import { PlainMessage } from "../bits/rans.js";
import { Bank } from "../bits/tables.js";
import { corrupt, IntactError } from "../errors.js";
import { Cursor } from "./cursor.js";
import { inflate } from "./inflate.js";
import type { TreeArray } from "./tree.js";

const PART = 2 ** 20;
const DIFFERENCES = Bank.of([-16, [
  1, 2, 3, 6, 6, 12, 24, 48, 48, 97, 194, 388, 388, 775, 1550, 3100, 3100, 3100, 1550, 775, 388, 387,
  194, 97, 48, 48, 24, 12, 6, 6, 3, 2, 1, 1,
]]);

/** A faster way for blobs of method 3; null where it has none, or where the blob is damaged: then we say how. */
export type Unpacker = (array: TreeArray, blob: Uint8Array) => Uint8Array | null;

/** The bytes of an array as they stand in the content. */
export function unpackArray(array: TreeArray, method: number, blob: Uint8Array, unpacker?: Unpacker): Uint8Array {
  switch (method) {
    case 0:
      if (blob.length !== array.numBytes) {
        throw corrupt(`a raw array has ${blob.length} bytes, not ${array.numBytes}`);
      }
      return blob;
    case 1:
      return inflate(blob, array.numBytes, "an array");
    case 2:
      return varints(array, blob);
    default:
      return unpacker?.(array, blob) ?? coded(array, blob);
  }
}

/** Writes integers as bytes of the array's type. */
class Writer {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly low: bigint;
  private readonly high: bigint;
  private readonly small: [number, number];
  private at = 0;

  constructor(private readonly array: TreeArray) {
    this.bytes = new Uint8Array(array.numBytes);
    this.view = new DataView(this.bytes.buffer);
    const bits = BigInt(8 * array.itemBytes);
    const signed = !array.type.startsWith("u");
    this.low = signed ? -(1n << (bits - 1n)) : 0n;
    this.high = signed ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n;
    this.small = [Number(this.low), Number(this.high)];
  }

  put(value: number): void {
    if (value < this.small[0] || value > this.small[1]) this.refuse(value);
    switch (this.array.itemBytes) {
      case 1: this.view.setInt8(this.at, value); break;
      case 2: this.view.setInt16(this.at, value, true); break;
      case 4: this.view.setInt32(this.at, value, true); break;
      default: this.view.setBigInt64(this.at, BigInt(value), true);
    }
    this.at += this.array.itemBytes;
  }

  putBig(value: bigint): void {
    if (this.array.itemBytes < 8) {
      this.put(Number(value));
      return;
    }
    if (value < this.low || value > this.high) this.refuse(value);
    this.view.setBigInt64(this.at, value, true);
    this.at += 8;
  }

  private refuse(value: number | bigint): never {
    throw corrupt(`an array of ${this.array.type} has the value ${value}`);
  }
}

function varints(array: TreeArray, blob: Uint8Array): Uint8Array {
  const n = array.size;
  if (n > PART) throw corrupt(`an array of ${n} values is packed by method 2, at most 2^20`);
  const writer = new Writer(array);
  const data = inflate(blob, 10 * n, "an array", true);
  const cursor = new Cursor(data, "an array");
  for (let i = 0; i < n; i++) {
    const zigzag = cursor.bigVarint("a value");
    writer.putBig(zigzag & 1n ? -((zigzag + 1n) >> 1n) : zigzag >> 1n);
  }
  cursor.end();
  return writer.bytes;
}

function coded(array: TreeArray, blob: Uint8Array): Uint8Array {
  const n = array.size;
  if (n > 256 * blob.length) throw corrupt(`an array of ${n} values in ${blob.length} bytes of rANS`);
  const cursor = new Cursor(blob, "an array");
  const numRows = array.shape.length < 2 ? 1 : array.shape[0]!;
  const count = cursor.varint("the number of tables", 1, array.shape.length < 2 ? 1 : 16);
  const minimums: number[] = [];
  const spans: number[] = [];
  for (let t = 0; t < count; t++) {
    const zigzag = cursor.varint("the smallest symbol", 0, 2 ** 31);
    const minimum = zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2;
    if (Math.abs(minimum) > 2 ** 30) throw corrupt(`the smallest symbol of an array is ${minimum}`);
    minimums.push(minimum);
    spans.push(cursor.varint("the number of symbols", 1, 4096));
  }
  const message = new PlainMessage(blob.subarray(cursor.at));
  let tables = new Int32Array(numRows);
  if (count > 1) {
    const bank = Bank.of([0, apportion([...new Array<number>(count).fill(1), 0])]);
    tables = message.part(new Uint16Array(numRows), bank) as Int32Array<ArrayBuffer>;
    if (tables.some((t) => t < 0 || t >= count)) throw corrupt("a row of an array has no such table");
  }
  const total = spans.reduce((a, b) => a + b, 0);
  const differences = message.part(new Uint16Array(total), DIFFERENCES);
  let at = 0;
  const bank = asDamage(() => Bank.of(...spans.map((span, t): [number, Int32Array] => {
    const weights = new Array<number>(span + 1).fill(0);
    let code = 0;
    let some = false;
    for (let e = 0; e < span; e++) {
      code += differences[at++]!;
      if (code < 0 || code > 111) throw corrupt("the weight of a symbol of an array is none");
      if (code) {
        some = true;
        weights[e] = [16, 19, 23, 27][(code - 1) % 4]! * 2 ** Math.floor((code - 1) / 4);
      }
    }
    if (!some) throw corrupt("the symbols of an array have no weight");
    return [minimums[t]!, apportion(weights)]; // products stay below 2^46, sums below 2^45
  })));
  const writer = new Writer(array);
  const perRow = numRows ? n / numRows : 0;
  for (let first = 0; first < n; first += PART) {
    const indexes = new Uint16Array(Math.min(PART, n - first));
    for (let i = 0; i < indexes.length; i++) indexes[i] = tables[Math.floor((first + i) / perRow)]!;
    for (const value of message.part(indexes, bank)) writer.put(value);
  }
  message.end();
  return writer.bytes;
}

/** A table that no rule allows is damage here: it comes from the blob. */
function asDamage<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof IntactError) throw corrupt(error.message);
    throw error;
  }
}
