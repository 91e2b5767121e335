/** Model files read by the kernels: arrays by native/unpack.c, the id by wasm/sha256.c. */

import type { Faster } from "../container/model_file.js";
import { Native } from "./native.js";

/** Bytes that are hashed at a time. */
const PIECE = 2 ** 20;

/** Reads in an instance of its own, whose memory is given back after each call. */
export function nativeReader(module: WebAssembly.Module): Faster {
  const native = new Native(module);
  const mark = native.c.web_mark();
  return {
    unpack(array, blob) {
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
    },
    compress(state, data) {
      const place = native.put(state);
      const piece = native.alloc(PIECE);
      for (let at = 0; at < data.length; at += PIECE) {
        const part = data.subarray(at, at + PIECE);
        native.bytes(piece, part.length).set(part);
        native.c.web_sha256(place, piece, part.length / 64);
      }
      state.set(native.int32(place, state.length));
      native.c.web_reset(mark);
    },
  };
}
