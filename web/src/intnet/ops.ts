/** The definition of every operation, in plain TypeScript: slow, and what the fast path is compared with. */

import { clip, clip16, type Conv, type Op, type Program } from "./program.js";

/** An array [height, width, channels]. */
export interface Value {
  height: number;
  width: number;
  channels: number;
  data: Int16Array;
}

export function newValue(height: number, width: number, channels: number): Value {
  return { height, width, channels, data: new Int16Array(height * width * channels) };
}

/** floor((m + floor(c / 2)) / c) for odd c. */
export const divideRound = (m: number, c: number) => Math.floor((m + (c - 1) / 2) / c);

/** The value of an operation's target. */
export function apply(op: Op, sources: Value[], level: number): Value {
  const u = sources[0]!;
  switch (op.op) {
    case "conv":
      return conv(op, u, level);
    case "requantize":
      return each(u, (x, n) => clip(divideRound(x, op.divisor[n]!), op.low, op.high));
    case "scale":
      return each(u, (x, n) => clip16(x * op.factor[n]!));
    case "add": {
      const right = sources[1]!.data;
      const out = newValue(u.height, u.width, u.channels);
      for (let i = 0; i < right.length; i++) out.data[i] = clip16(u.data[i]! + right[i]!);
      return out;
    }
    case "shuffle": {
      const r = op.factor;
      const out = newValue(u.height * r, u.width * r, u.channels / (r * r));
      move(out, u, r, true);
      return out;
    }
    case "unshuffle": {
      const r = op.factor;
      const out = newValue(u.height / r, u.width / r, u.channels * r * r);
      move(u, out, r, false);
      return out;
    }
  }
}

function each(u: Value, f: (x: number, channel: number) => number): Value {
  const out = newValue(u.height, u.width, u.channels);
  for (let i = 0, n = 0; i < u.data.length; i++) {
    out.data[i] = f(u.data[i]!, n);
    if (++n === u.channels) n = 0;
  }
  return out;
}

/** Between a fine value and its coarse form; channel n r r + dy r + dx is (dy, dx) of channel n. */
function move(fine: Value, coarse: Value, r: number, toFine: boolean): void {
  const { channels } = fine;
  for (let y = 0; y < fine.height; y++) {
    for (let x = 0; x < fine.width; x++) {
      const phase = (y % r) * r + (x % r);
      const at = (Math.floor(y / r) * coarse.width + Math.floor(x / r)) * coarse.channels;
      const to = (y * fine.width + x) * channels;
      for (let n = 0; n < channels; n++) {
        const place = at + n * r * r + phase;
        if (toFine) fine.data[to + n] = coarse.data[place]!;
        else coarse.data[place] = fine.data[to + n]!;
      }
    }
  }
}

function conv(op: Conv, u: Value, level: number): Value {
  const { size, stride, outputs, inputs, weight } = op;
  const depthwise = op.groups > 1;
  const margin = (size - 1) / 2;
  const out = newValue(Math.ceil(u.height / stride), Math.ceil(u.width / stride), outputs);
  const area = size * size;
  const taps = inputs * area;
  const bias = Float64Array.from(op.bias, (b, n) => b + op.slope[n]! * level);
  const from = new Int32Array(area); // where each tap reads, -1 outside
  for (let y = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++) {
      for (let t = 0; t < area; t++) {
        let row = stride * y + Math.floor(t / size) - margin;
        let column = stride * x + (t % size) - margin;
        if (op.edge) {
          row = clip(row, 0, u.height - 1);
          column = clip(column, 0, u.width - 1);
        }
        const outside = row < 0 || row >= u.height || column < 0 || column >= u.width;
        from[t] = outside ? -1 : (row * u.width + column) * u.channels;
      }
      const to = (y * out.width + x) * outputs;
      for (let n = 0; n < outputs; n++) {
        let acc = 0; // modulo 2^32: the true sum is proven below 2^31
        for (let t = 0; t < area; t++) {
          const at = from[t]!;
          if (at < 0) continue;
          if (depthwise) {
            acc = (acc + weight[n * taps + t]! * u.data[at + n]!) | 0;
          } else {
            for (let j = 0, k = n * taps + t; j < inputs; j++, k += area) {
              acc = (acc + weight[k]! * u.data[at + j]!) | 0;
            }
          }
        }
        const v = divideRound(acc + bias[n]!, op.divisor[n]!);
        out.data[to + n] = op.table.length
          ? op.table[clip(v, op.tableLow, op.tableLow + op.table.length - 1) - op.tableLow]!
          : clip(v, op.low, op.high);
      }
    }
  }
  return out;
}

/** Runs programs. */
export interface Runner {
  /** The outputs by name; inputs are by name, too. */
  run(program: Program, inputs: Map<string, Value>, level: number): Map<string, Value>;
}

/** Runs programs by the definition. */
export const plainRunner: Runner = {
  run(program, inputs, level) {
    const values = new Map(inputs);
    const last = lastReaders(program);
    program.ops.forEach((op, i) => {
      const sources = op.op === "add" ? [op.left, op.right] : [op.source];
      values.set(op.target, apply(op, sources.map((s) => values.get(s)!), level));
      for (const s of [...sources, op.target]) if (last.get(s) === i || !last.has(s)) values.delete(s);
    });
    return new Map(program.outputs.map((name) => [name, values.get(name)!]));
  },
};

/** After which operation a value is not needed any more; outputs stay. A value without readers is missing. */
export function lastReaders(program: Program): Map<string, number> {
  const last = new Map<string, number>();
  program.ops.forEach((op, i) => {
    for (const s of op.op === "add" ? [op.left, op.right] : [op.source]) last.set(s, i);
  });
  for (const name of program.outputs) last.set(name, program.ops.length);
  return last;
}

