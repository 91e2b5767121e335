/** A model file: its content, unpacked and held to its id. docs/spec/container.md, "Model file". */

import { corrupt, unsupported } from "../errors.js";
import { crc32 } from "./crc32.js";
import { Cursor, hex, readMagic } from "./cursor.js";
import { inflate } from "./inflate.js";
import { Sha256, type Compress } from "./sha256.js";
import { readSkeleton, type Tree, type TreeArray } from "./tree.js";
import { unpackArray, type Unpacker } from "./unpack.js";

const MAX_CONTENT = 2 ** 28;
const MAX_SKELETON = 2 ** 24;

export interface ModelFile {
  /** 32 hexadecimal digits. */
  id: string;
  tree: Tree;
}

/** Faster ways than the plain ones; what is wrong with a file the plain ones say. */
export interface Faster {
  unpack?: Unpacker;
  compress?: Compress;
}

/** The id of the model in a file, from its first 25 bytes. */
export function peekModelId(bytes: Uint8Array): string {
  const cursor = new Cursor(bytes, "the model file");
  readMagic(cursor, 0xcd, "an Intact model file");
  return hex(cursor.take(16, "the model id"));
}

/** Read and check a whole model file. */
export function readModelFile(bytes: Uint8Array, fast: Faster = {}): ModelFile {
  const cursor = new Cursor(bytes, "the model file");
  if (bytes.length > MAX_CONTENT + 2 ** 20) throw corrupt("the model file has more than 2^28 + 2^20 bytes");
  readMagic(cursor, 0xcd, "an Intact model file");
  const id = hex(cursor.take(16, "the model id"));
  const content = cursor.varint("the size of the content", 1, MAX_CONTENT);
  const size = cursor.varint("the size of the skeleton", 1, Math.min(content, MAX_SKELETON));
  const packed = cursor.varint("the packed size of the skeleton", 1, MAX_CONTENT);
  if (content > 2 ** 20 + 32 * bytes.length) {
    throw corrupt(`the model file claims ${content} bytes of content, too many for its ${bytes.length}`);
  }
  const skeleton = inflate(cursor.take(packed, "the skeleton"), size, "the skeleton");
  const bones = readSkeleton(skeleton);
  const total = bones.arrays.reduce((sum, array) => sum + array.numBytes, size);
  if (total !== content) throw corrupt(`the model's content has ${total} bytes, not ${content}`);
  const index = bones.arrays.map(() => {
    const method = cursor.u8("the method of an array");
    return { method, length: cursor.varint("the length of an array", 0, MAX_CONTENT + 2 ** 20) };
  });
  const blobs = index.map(({ length }) => cursor.take(length, "an array"));
  const crc = crc32(bytes.subarray(0, cursor.at));
  if (cursor.u32("the checksum") !== crc) throw corrupt("the model file is damaged: its checksum is wrong");
  cursor.end();
  bones.arrays.forEach((array, i) => unpack(array, index[i]!.method, blobs[i]!, fast.unpack));
  if (contentId(skeleton, bones.arrays, bones.places, fast.compress) !== id) {
    throw corrupt("the model file is damaged: its content has another id");
  }
  return { id, tree: bones.tree };
}

function unpack(array: TreeArray, method: number, blob: Uint8Array, unpacker?: Unpacker): void {
  if (method === 4) {
    throw unsupported("the model file has a codebook (packing method 4), which this version does not decode");
  }
  if (method > 4 || (array.type === "float32" && method > 1)) {
    throw corrupt(`an array of ${array.type} is packed by method ${method}`);
  }
  array.data = unpackArray(array, method, blob, unpacker);
}

function contentId(skeleton: Uint8Array, arrays: TreeArray[], places: number[], compress?: Compress): string {
  const hash = new Sha256(compress).update(new TextEncoder().encode("intact model content 1\0"));
  let at = 0;
  arrays.forEach((array, i) => {
    hash.update(skeleton.subarray(at, places[i]!)).update(array.data);
    at = places[i]!;
  });
  return hex(hash.update(skeleton.subarray(at)).digest().subarray(0, 16));
}
