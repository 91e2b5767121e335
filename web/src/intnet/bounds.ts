/** What a layer can compute at most. docs/spec/intnet.md, "Bounds" and "Rule 1". */

import { badModel } from "../errors.js";
import type { Conv, Info, Program } from "./program.js";

export interface Bounds {
  /** B of each output channel: the largest magnitude of any partial sum. */
  bound: Float64Array;
  /** Rule 1 holds, and quotients stay below 2^22: dividing in float32 is exact. */
  float32: boolean;
}

const known = new WeakMap<Conv, Bounds>();

/** The bounds of a layer whose input is `source`, which is always the same; found out once. */
export function boundsOf(op: Conv, source: Info): Bounds {
  let bounds = known.get(op);
  if (bounds === undefined) {
    bounds = find(op, source);
    known.set(op, bounds);
  }
  return bounds;
}

function find(op: Conv, source: Info): Bounds {
  const taps = op.inputs * op.size * op.size;
  const up = Math.max(source.high, 0);
  const down = Math.max(-source.low, 0);
  const bound = new Float64Array(op.outputs);
  const clipLow = op.table.length ? op.tableLow : op.low;
  const clipHigh = op.table.length ? op.tableLow + op.table.length - 1 : op.high;
  const most = Math.max(Math.abs(clipLow), Math.abs(clipHigh));
  let float32 = true;
  for (let n = 0; n < op.outputs; n++) {
    let above = 0;
    let below = 0;
    for (let k = n * taps; k < (n + 1) * taps; k++) {
      const w = op.weight[k]!;
      if (w > 0) above += w;
      else below -= w;
    }
    const c = op.divisor[n]!;
    const b = Math.max(above * up + below * down, above * down + below * up)
      + Math.abs(op.bias[n]!) + 127 * Math.abs(op.slope[n]!);
    bound[n] = b;
    const quotient = Math.min(most, Math.floor((b + (c - 1) / 2) / c));
    float32 &&= (quotient + 1) * c <= 2 ** 22 && b / c < 2 ** 22 - 1;
  }
  return { bound, float32 };
}

/** Refuse a program in which a sum could leave 32 bits. */
export function checkBounds(program: Program, what: string): void {
  for (const op of program.ops) {
    if (op.op !== "conv") continue;
    const most = boundsOf(op, program.infos.get(op.source)!).bound.reduce((a, b) => Math.max(a, b), 0);
    if (most >= 2 ** 31) throw badModel(`${what}: ${op.target}: sums reach ${most}, beyond 2^31 - 1`);
  }
}
