/** rANS messages read by native/rans.c. The tables are those of a checked bank. */

import { PlainMessage, readLanes, type Message } from "../bits/rans.js";
import type { Bank } from "../bits/tables.js";
import { corrupt } from "../errors.js";
import type { Native } from "./native.js";

interface Tables {
  buckets: number;
  entries: number;
  values: number;
  descriptors: number;
}

/** Banks in an instance's memory, each uploaded when it is first used. */
export class Banks {
  private readonly known = new Map<Bank, Tables>();

  constructor(readonly native: Native) {}

  forget(bank: Bank): void {
    this.known.delete(bank);
  }

  tables(bank: Bank): Tables {
    let found = this.known.get(bank);
    if (found === undefined) {
      found = this.upload(bank);
      this.known.set(bank, found);
    }
    return found;
  }

  private upload(bank: Bank): Tables {
    const { count, starts, sizes, minimums, freqs, cums } = bank;
    const buckets = new Uint32Array(count * 256);
    const entries = new Uint32Array(freqs.length);
    const values = new Int32Array(freqs.length);
    const descriptors = new Int32Array(4 * count);
    for (let t = 0; t < count; t++) {
      const start = starts[t]!;
      const size = sizes[t]!;
      for (let e = 0, bucket = 0; e < size; e++) {
        const at = start + e;
        const cum = cums[at]!;
        const end = cum + freqs[at]!;
        entries[at] = (e === size - 1 ? 2 ** 31 : 0) + cum * 65536 + freqs[at]!;
        values[at] = minimums[t]! + e;
        for (; bucket * 64 < end; bucket++) buckets[t * 256 + bucket] = at; // its lowest slot lies in this entry
      }
      descriptors.set([start, minimums[t]!, size - 1, 0], 4 * t);
    }
    const { native } = this;
    return {
      buckets: native.put(buckets), entries: native.put(entries),
      values: native.put(values), descriptors: native.put(descriptors),
    };
  }
}

const ERRORS = ["", "a payload ends early", "a payload has an illegal escape", "a payload has no such table"];

/** A message; all of its memory is given back by the owner of the instance. */
export class NativeMessage implements Message {
  private readonly place: number;
  private readonly states: number;
  private readonly cursor: number;
  private readonly lanes: number;
  private decoded = false;

  constructor(
    private readonly banks: Banks,
    private readonly payload: Uint8Array,
  ) {
    const [lanes, states] = readLanes(payload);
    const { native } = banks;
    this.lanes = lanes;
    this.place = native.put(payload);
    this.states = native.put(states);
    this.cursor = native.alloc(16);
    native.view(this.cursor, 16).setBigInt64(0, BigInt(1 + 4 * lanes), true);
  }

  part(indexes: Uint16Array, bank: Bank): Int32Array {
    const count = indexes.length;
    if (count === 0) return new Int32Array(0);
    this.decoded = true;
    const { native } = this.banks;
    const { buckets, entries, values, descriptors } = this.banks.tables(bank);
    const mark = native.c.web_mark();
    const places = native.put(indexes);
    const symbols = native.alloc(4 * count);
    const error = native.c.intact_rans_decode(
      this.place, BigInt(this.payload.length), this.cursor, this.states, this.lanes, places, BigInt(count),
      buckets, entries, values, descriptors, BigInt(bank.count), symbols,
    );
    const out = native.int32(symbols, count).slice();
    native.c.web_reset(mark);
    if (error) throw corrupt(ERRORS[error] ?? "a payload is damaged");
    return out;
  }

  end(): void {
    const { native } = this.banks;
    const at = native.view(this.cursor, 16).getBigInt64(0, true);
    if (Number(at) !== this.payload.length) throw corrupt("a payload goes on after its last symbol");
    if (!this.decoded) throw corrupt("a payload has bytes, but no symbols");
    if (native.int32(this.states, this.lanes).some((x) => x !== 65536)) throw corrupt("a payload does not end as it must");
  }
}

/** A message read by C; an empty one, which has no states, by the definition. */
export function openMessage(banks: Banks, payload: Uint8Array): Message {
  return payload.length ? new NativeMessage(banks, payload) : new PlainMessage(payload);
}
