/** Arrays of a model file by native/unpack.c. */

import type { TreeArray } from "../container/tree.js";
import type { Unpacker } from "../container/unpack.js";
import { Native } from "./native.js";

/** Unpacks in an instance of its own, whose memory is given back after each array. */
export function nativeUnpacker(module: WebAssembly.Module): Unpacker {
  const native = new Native(module);
  const mark = native.c.web_mark();
  return (array: TreeArray, blob: Uint8Array) => {
    const bits = { int16: 16, int32: 32 }[array.type as "int16" | "int32"];
    if (bits === undefined || array.size === 0 || array.size > 256 * blob.length) return null;
    try {
      const place = native.put(blob);
      const target = native.alloc(array.numBytes);
      const [rows, tables] = array.shape.length > 1 ? [array.shape[0]!, 16] : [1, 1];
      const done = native.c.intact_unpack(place, BigInt(blob.length), BigInt(rows), tables, BigInt(array.size), bits, target);
      return done ? native.bytes(target, array.numBytes).slice() : null;
    } finally {
      native.c.web_reset(mark);
    }
  };
}
