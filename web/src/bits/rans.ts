/** Decoding rANS messages in plain TypeScript. docs/spec/bits.md; every number is exact below 2^53. */

import { corrupt } from "../errors.js";
import type { Bank } from "./tables.js";

/** Reads a message part by part. */
export interface Message {
  /** The symbols of the next part; symbol i has table `indexes[i]` of the bank. */
  part(indexes: Uint16Array, bank: Bank): Int32Array;
  /** After the last part; a message that goes on is refused. */
  end(): void;
}

export class PlainMessage implements Message {
  private readonly states: Float64Array;
  private at: number;
  private decoded = false;

  constructor(private readonly payload: Uint8Array) {
    if (payload.length === 0) {
      this.states = new Float64Array(0);
      this.at = 0;
      return;
    }
    const [lanes, states] = readLanes(payload);
    this.states = Float64Array.from(states);
    this.at = 1 + 4 * lanes;
  }

  part(indexes: Uint16Array, bank: Bank): Int32Array {
    const { states, payload } = this;
    const out = new Int32Array(indexes.length);
    if (indexes.length === 0) return out;
    if (payload.length === 0) throw corrupt("a payload is empty, but symbols are wanted");
    this.decoded = true;
    const lanes = states.length;
    for (let i = 0; i < indexes.length; i++) {
      const lane = i & (lanes - 1);
      const table = indexes[i]!;
      const state = states[lane]!;
      const slot = state % 16384;
      const entry = bank.entryOf(table, slot);
      let x = bank.freqs[entry]! * Math.floor(state / 16384) + slot - bank.cums[entry]!;
      if (x < 65536) x = x * 65536 + this.byte() + 256 * this.byte();
      states[lane] = x;
      const symbol = bank.minimums[table]! + entry - bank.starts[table]!;
      out[i] = entry === bank.starts[table]! + bank.sizes[table]! - 1 ? this.escape(symbol, bank.minimums[table]!) : symbol;
    }
    return out;
  }

  end(): void {
    if (this.at !== this.payload.length) throw corrupt("a payload goes on after its last symbol");
    if (this.payload.length && !this.decoded) throw corrupt("a payload has bytes, but no symbols");
    if (this.states.some((x) => x !== 65536)) throw corrupt("a payload does not end as it must");
  }

  private byte(): number {
    if (this.at >= this.payload.length) throw corrupt("a payload ends early");
    return this.payload[this.at++]!;
  }

  private escape(above: number, minimum: number): number {
    let z = 0;
    for (let count = 0, scale = 1; ; count++, scale *= 128) {
      const byte = this.byte();
      z += (byte & 127) * scale;
      if (byte < 128) {
        if ((byte === 0 && count > 0) || z >= 2 ** 34) break;
        const symbol = z % 2 ? minimum - 1 - (z - 1) / 2 : above + z / 2;
        if (symbol < -(2 ** 31) || symbol >= 2 ** 31) break;
        return symbol;
      }
      if (count === 4) break;
    }
    throw corrupt("a payload has an illegal escape");
  }
}

/** The number of lanes of a payload that is not empty, and their first states. */
export function readLanes(payload: Uint8Array): [number, Uint32Array] {
  if (payload[0]! > 10) throw corrupt(`a payload has 2^${payload[0]} lanes, at most 2^10`);
  const lanes = 2 ** payload[0]!;
  if (payload.length < 1 + 4 * lanes) throw corrupt("a payload ends early");
  const view = new DataView(payload.buffer, payload.byteOffset + 1, 4 * lanes);
  const states = Uint32Array.from({ length: lanes }, (_, i) => view.getUint32(4 * i, true));
  if (states.some((x) => x < 65536)) throw corrupt("a payload begins with an illegal state");
  return [lanes, states];
}
