/**
 * Programs as operations of native/intnet.h, one segment each. All values are int16 and lie whole in memory.
 * What the kernels cannot do (a table whose domain leaves 16 bits) the definition computes.
 */

import { boundsOf } from "../intnet/bounds.js";
import type { Conv, Info, Op, Program } from "../intnet/program.js";
import { OP_BYTES, type Native } from "./native.js";

const KIND = { gemm16: 4, depthwise: 6, requantize: 7, scale: 8, add: 9, table: 10, shuffle: 11, unshuffle: 12, im2col: 13 };

/** Fields of intnet_op: its int32s in order, then its pointers. */
const FIELDS = [
  "kind", "source", "addend", "target", "channelsIn", "channelsOut", "size", "step", "bytesIn", "bytesOut", "zeroIn",
  "zeroOut", "low", "high", "divide", "words", "edge", "unused",
  "weights", "bias", "reciprocal", "reciprocal64", "order", "table", "depth",
] as const;
type Struct = Partial<Record<(typeof FIELDS)[number], number>>;

/** An operation in the module's memory. Slots: 0 source, 1 addend, 2 target, 3 in `scratch`. */
export interface Lowered {
  op: Op;
  /** Where its structures are; null: the definition computes it. */
  place: number | null;
  count: number;
  /** The positions that a segment is run over are those of the target, else of the source. */
  overTarget: boolean;
  /** Bytes of a pixel of slot 3. */
  scratchStride: number;
  /** Where to write bias + slope * level. */
  bias: number;
}

/** Channels are padded to so many in arrays by output channel. */
const BLOCK = 16;
const PADDING = 64;

export function lower(native: Native, program: Program): Lowered[] {
  return program.ops.map((op) => lowerOne(native, program, op));
}

function lowerOne(native: Native, program: Program, op: Op): Lowered {
  const info = program.infos.get(op.op === "add" ? op.left : op.source)!;
  const { channels } = info;
  const base: Lowered = { op, place: null, count: 1, overTarget: true, scratchStride: 0, bias: 0 };
  const pointwise = { source: 0, addend: -1, target: 2, channelsIn: channels, channelsOut: channels, bytesIn: 2, bytesOut: 2 };
  switch (op.op) {
    case "conv":
      return lowerConv(native, op, info, base);
    case "requantize": {
      const reciprocal = native.put(Float32Array.from(op.divisor, (c) => 1 / c));
      return { ...base, place: write(native, [{ ...pointwise, kind: KIND.requantize, low: op.low, high: op.high, reciprocal }]) };
    }
    case "scale":
      return { ...base, place: write(native, [{ ...pointwise, kind: KIND.scale, order: native.put(op.factor) }]) };
    case "add":
      return { ...base, place: write(native, [{ ...pointwise, kind: KIND.add, addend: 1 }]) };
    case "shuffle": {
      const outputs = channels / op.factor ** 2;
      const order = native.put(channelOrder(outputs, op.factor));
      const struct = { ...pointwise, kind: KIND.shuffle, step: op.factor, channelsOut: outputs, order };
      return { ...base, overTarget: false, place: write(native, [struct]) };
    }
    case "unshuffle": {
      const order = native.put(channelOrder(channels, op.factor));
      const struct = { ...pointwise, kind: KIND.unshuffle, step: op.factor, channelsOut: channels * op.factor ** 2, order };
      return { ...base, place: write(native, [struct]) };
    }
  }
}

/** The channel of the deep side for each (dy, dx, channel) of the wide side. */
function channelOrder(channels: number, r: number): Int32Array {
  const order = new Int32Array(channels * r * r);
  for (let phase = 0, i = 0; phase < r * r; phase++) {
    for (let c = 0; c < channels; c++) order[i++] = c * r * r + phase;
  }
  return order;
}

function lowerConv(native: Native, op: Conv, source: Info, base: Lowered): Lowered {
  const hasTable = op.table.length > 0;
  const low = hasTable ? op.tableLow : op.low;
  const high = hasTable ? op.tableLow + op.table.length - 1 : op.high;
  if (low < -32768 || high > 32767) return base;
  const depthwise = op.groups > 1;
  const area = op.size ** 2;
  const columns = !depthwise && (area > 1 || op.stride > 1);
  const padded = Math.ceil(op.outputs / PADDING) * PADDING;
  const divisors = new Float64Array(padded);
  op.divisor.forEach((c, n) => (divisors[n] = 1 / c));
  const bias = native.alloc(4 * padded);
  native.int32(bias, padded).fill(0);
  const inputs = depthwise ? op.outputs : op.inputs * area;
  const words = Math.ceil(inputs / 2);
  const layer: Struct = {
    kind: depthwise ? KIND.depthwise : KIND.gemm16,
    source: columns ? 3 : 0, addend: -1, target: hasTable ? 3 : 2,
    channelsIn: inputs, channelsOut: op.outputs, size: op.size, step: op.stride, bytesIn: 2, bytesOut: 2,
    low, high, divide: boundsOf(op, source).float32 ? 0 : 1, words, edge: op.edge ? 1 : 0,
    weights: native.put(depthwise ? depthwiseWeights(op) : gemmWeights(op, words)),
    bias,
    reciprocal: native.put(Float32Array.from(divisors)),
    reciprocal64: native.put(divisors),
  };
  const structs = [layer];
  let scratchStride = 0;
  if (columns) {
    scratchStride = 4 * words;
    structs.unshift({
      kind: KIND.im2col, source: 0, addend: -1, target: 3, channelsIn: op.inputs, size: op.size, step: op.stride,
      bytesIn: 2, edge: op.edge ? 1 : 0,
    });
  }
  if (hasTable) {
    // Slot 3 holds columns up to the layer and its quotients from there on: each is used by one kernel at a time.
    const table = native.put(Int16Array.from(op.table));
    if (columns) layer.target = 4;
    else scratchStride = 2 * op.outputs;
    structs.push({
      kind: KIND.table, source: columns ? 4 : 3, addend: -1, target: 2, channelsIn: op.outputs, bytesIn: 2, bytesOut: 2,
      low: op.tableLow, table,
    });
  }
  return { ...base, count: structs.length, place: write(native, structs), scratchStride, bias };
}

/** [blocks of 16 outputs, words, 16, 2] of int16, inputs in the order dy, dx, channel; zeros in the padding. */
function gemmWeights(op: Conv, words: number): Int16Array {
  const area = op.size ** 2;
  const blocks = Math.ceil(op.outputs / BLOCK);
  const packed = new Int16Array(blocks * words * BLOCK * 2);
  for (let n = 0, k = 0; n < op.outputs; n++) {
    const block = Math.floor(n / BLOCK) * words;
    for (let j = 0; j < op.inputs; j++) {
      for (let t = 0; t < area; t++) {
        const input = t * op.inputs + j;
        packed[((block + (input >> 1)) * BLOCK + (n % BLOCK)) * 2 + (input & 1)] = op.weight[k++]!;
      }
    }
  }
  return packed;
}

/** [taps, channels] of int32. */
function depthwiseWeights(op: Conv): Int32Array {
  const area = op.size ** 2;
  return Int32Array.from({ length: area * op.outputs }, (_, i) => op.weight[(i % op.outputs) * area + Math.floor(i / op.outputs)]!);
}

function write(native: Native, structs: Struct[]): number {
  const place = native.alloc(structs.length * OP_BYTES);
  const view = native.view(place, structs.length * OP_BYTES);
  structs.forEach((struct, i) => FIELDS.forEach((field, k) => view.setInt32(i * OP_BYTES + 4 * k, struct[field] ?? 0, true)));
  return place;
}
