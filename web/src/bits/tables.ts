/** Frequency tables of the entropy coder. docs/spec/bits.md, "Tables". */

import { badModel } from "../errors.js";
import { TOTAL } from "./apportion.js";

const SYMBOL_LIMIT = 2 ** 30;

/** A bank of tables. Entry e of table t is `starts[t] + e` in `freqs` and `cums`; the last is the escape. */
export class Bank {
  readonly starts: Int32Array;
  /** First slot of each entry. */
  readonly cums: Int32Array;

  constructor(
    readonly minimums: Int32Array,
    readonly sizes: Int32Array,
    readonly freqs: Int32Array,
  ) {
    const count = sizes.length;
    if (count < 1 || count > 65536) throw badModel(`a bank has ${count} tables, legal: 1..65536`);
    if (minimums.length !== count) throw badModel("a bank's minimums and sizes differ in number");
    this.starts = new Int32Array(count);
    this.cums = new Int32Array(freqs.length);
    let start = 0;
    for (let t = 0; t < count; t++) {
      const size = sizes[t]!;
      if (size < 2 || size > TOTAL) throw badModel(`table ${t} has ${size} entries, legal: 2..16384`);
      if (size > freqs.length - start) throw badModel("a bank has fewer frequencies than entries");
      const minimum = minimums[t]!;
      if (minimum < -SYMBOL_LIMIT || minimum + size - 2 > SYMBOL_LIMIT) {
        throw badModel(`table ${t} has symbols beyond 2^30`);
      }
      this.starts[t] = start;
      let sum = 0;
      for (let e = start; e < start + size; e++) {
        const freq = freqs[e]!;
        if (freq < 1 || freq >= TOTAL) throw badModel(`table ${t} has a frequency of ${freq}, legal: 1..16383`);
        this.cums[e] = sum;
        sum += freq;
      }
      if (sum !== TOTAL) throw badModel(`the frequencies of table ${t} sum to ${sum}, not 16384`);
      start += size;
    }
    if (start !== freqs.length) throw badModel("a bank has more frequencies than entries");
  }

  get count(): number {
    return this.sizes.length;
  }

  /** Tables given as [minimum, frequencies] each. */
  static of(...tables: [number, ArrayLike<number>][]): Bank {
    const freqs = tables.flatMap(([, f]) => Array.from(f));
    return new Bank(
      Int32Array.from(tables, ([minimum]) => minimum),
      Int32Array.from(tables, ([, f]) => f.length),
      Int32Array.from(freqs),
    );
  }

  /** The entry that owns a slot, as an index into `freqs`. */
  entryOf(table: number, slot: number): number {
    let low = this.starts[table]!;
    let high = low + this.sizes[table]! - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.cums[middle]! <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
