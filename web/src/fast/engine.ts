/** Runs one model's programs and reads its messages by the kernels of native/ in WebAssembly. */

import type { Message } from "../bits/rans.js";
import type { Engine } from "../codec/decode.js";
import type { Model } from "../codec/model.js";
import { REPEATS } from "../codec/tiles.js";
import { apply, lastReaders, type Runner, type Value } from "../intnet/ops.js";
import { sourcesOf, type Program } from "../intnet/program.js";
import { lower, type Lowered } from "./lower.js";
import { Banks, openMessage } from "./message.js";
import { Native, SLOT_BYTES } from "./native.js";

/** Pixels at a time; slots 3 and 4 are laid out for that many. */
const CHUNK = 64;
/** INTNET_ZEROS of native/intnet.h, twice: the pixels around an image. */
const ZEROS = 2 * (4096 + 64);
/** The kernels read whole words: up to two bytes beyond a value. */
const SLACK = 16;

/** Where a value is, and its size. */
interface Place {
  at: number;
  height: number;
  width: number;
  channels: number;
}

const numBytes = (p: { height: number; width: number; channels: number }) =>
  Math.ceil((p.height * p.width * p.channels * 2 + SLACK) / 16) * 16;

interface Prepared {
  ops: Lowered[];
  last: Map<string, number>;
  level: number | null;
}

/** Programs in an instance's memory. */
export class NativeRunner implements Runner {
  private readonly prepared = new Map<Program, Prepared>();
  private readonly slots: number;
  private readonly zeros: number;

  constructor(readonly native: Native) {
    this.slots = native.alloc(5 * SLOT_BYTES);
    this.zeros = native.alloc(ZEROS);
    native.bytes(this.zeros, ZEROS).fill(0, 0, ZEROS / 2).fill(128, ZEROS / 2);
  }

  /** Put a program into memory; it stays there. */
  prepare(program: Program): void {
    this.prepared.set(program, { ops: lower(this.native, program), last: lastReaders(program), level: null });
  }

  run(program: Program, inputs: Map<string, Value>, level: number): Map<string, Value> {
    const { native } = this;
    const prepared = this.prepared.get(program)!;
    this.setLevel(prepared, level);
    const places = layOut(program, prepared, inputs);
    const mark = native.c.web_mark();
    try {
      const base = native.alloc(places.total);
      const scratch = native.alloc(CHUNK * prepared.ops.reduce((most, o) => Math.max(most, o.scratchStride + 2 * 4096), 0) + SLACK);
      for (const place of places.values.values()) place.at += base;
      for (const [name, value] of inputs) {
        native.int16(places.values.get(name)!.at, value.data.length).set(value.data);
      }
      for (const lowered of prepared.ops) this.one(lowered, places.values, scratch, level);
      return new Map(program.outputs.map((name) => [name, this.copied(places.values.get(name)!)]));
    } finally {
      native.c.web_reset(mark);
    }
  }

  private copied({ at, height, width, channels }: Place): Value {
    return { height, width, channels, data: this.native.int16(at, height * width * channels).slice() };
  }

  private setLevel(prepared: Prepared, level: number): void {
    if (prepared.level === level) return;
    for (const { op, bias } of prepared.ops) {
      if (op.op !== "conv" || !bias) continue;
      // Modulo 2^32, as all sums: the true ones are proven below 2^31.
      this.native.int32(bias, op.outputs).set(op.bias.map((b, n) => (b + op.slope[n]! * level) | 0));
    }
    prepared.level = level;
  }

  private one(lowered: Lowered, values: Map<string, Place>, scratch: number, level: number): void {
    const { native } = this;
    const { op } = lowered;
    const sources = sourcesOf(op).map((name) => values.get(name)!);
    const target = values.get(op.target)!;
    if (lowered.place === null) {
      const result = apply(op, sources.map((source) => this.copied(source)), level);
      native.int16(target.at, result.data.length).set(result.data);
      return;
    }
    const view = native.view(this.slots, 5 * SLOT_BYTES);
    const slot = (i: number, data: number, offset: number, stride: number, height: number, width: number) => {
      view.setUint32(i * SLOT_BYTES, data, true);
      [offset, stride, height, width].forEach((n, k) => view.setBigInt64(i * SLOT_BYTES + 8 + 8 * k, BigInt(n), true));
    };
    const external = (i: number, p: Place) => slot(i, p.at, 0, 2 * p.channels, p.height, p.width);
    external(0, sources[0]!);
    external(1, sources[1] ?? sources[0]!);
    external(2, target);
    slot(3, 0, 0, lowered.scratchStride, 0, 0);
    slot(4, 0, CHUNK * lowered.scratchStride, 2 * target.channels, 0, 0);
    const over = lowered.overTarget ? target : sources[0]!;
    const status = native.c.intact_intnet_run(
      lowered.place, lowered.count, this.slots, BigInt(over.width), 0n, BigInt(over.height * over.width),
      BigInt(CHUNK), scratch, this.zeros, 0,
    );
    if (status) throw new Error(`the WebAssembly kernels lack an operation for ${op.target}`);
  }
}

/** Where each value goes: the first gap that is free while it is alive. */
function layOut(program: Program, { last }: Prepared, inputs: Map<string, Value>): { values: Map<string, Place>; total: number } {
  const values = new Map<string, Place>();
  let alive: { name: string; from: number; to: number }[] = [];
  let total = 0;
  const put = (name: string, height: number, width: number, channels: number) => {
    const bytes = numBytes({ height, width, channels });
    let at = 0;
    for (const { from, to } of alive) {
      if (from - at >= bytes) break;
      at = to;
    }
    alive.push({ name, from: at, to: at + bytes });
    alive.sort((a, b) => a.from - b.from);
    total = Math.max(total, at + bytes);
    values.set(name, { at, height, width, channels });
  };
  for (const [name, { height, width, channels }] of inputs) put(name, height, width, channels);
  program.ops.forEach((op, i) => {
    const sources = sourcesOf(op);
    const { height, width } = values.get(sources[0]!)!;
    const { channels } = program.infos.get(op.target)!;
    const up = op.op === "shuffle" ? op.factor : 1;
    const down = op.op === "unshuffle" ? op.factor : op.op === "conv" ? op.stride : 1;
    put(op.target, Math.ceil((height * up) / down), Math.ceil((width * up) / down), channels);
    alive = alive.filter(({ name }) => last.has(name) ? last.get(name)! > i : name !== op.target);
  });
  return { values, total };
}

/** Runs a model; what its decoding programs need is put into memory at once. */
export class NativeEngine implements Engine {
  readonly runner: NativeRunner;
  private readonly banks: Banks;
  private readonly mark: number;

  constructor(module: WebAssembly.Module, model: Model) {
    const native = new Native(module);
    this.runner = new NativeRunner(native);
    this.banks = new Banks(native);
    for (const role of model.roles) {
      if (!role.name.endsWith("analysis")) this.runner.prepare(model.programs.get(role.name)!);
    }
    for (const bank of [REPEATS, model.tablesY, model.tablesZ]) if (bank !== null) this.banks.tables(bank);
    this.mark = native.c.web_mark();
  }

  readonly open = (payload: Uint8Array): Message => openMessage(this.banks, payload);

  /** Give back the memory of messages; before each image. */
  begin(): void {
    this.runner.native.c.web_reset(this.mark);
  }
}
