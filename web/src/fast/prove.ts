/**
 * The kernels prove themselves before they are used: every operation and both divisions on one program, and a
 * message on four lanes with escapes, against the definitions. docs/spec/intnet.md, "Proof of a backend".
 */

import { PlainMessage, type Message } from "../bits/rans.js";
import { Bank } from "../bits/tables.js";
import { newValue, plainRunner, type Value } from "../intnet/ops.js";
import { infer, type Conv, type Op, type Program } from "../intnet/program.js";
import { Sha256, type Compress } from "../container/sha256.js";
import { NativeRunner } from "./engine.js";
import { Banks, NativeMessage } from "./message.js";
import { Native } from "./native.js";
import { nativeReader } from "./unpack.js";

/** Numbers that look random, the same everywhere. */
function* numbers(): Generator<number, never> {
  for (let x = 12345; ; ) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    yield x >>> 8;
  }
}

/** A program with every operation in every form that the kernels tell apart. */
export function probeProgram(): Program {
  const random = numbers();
  const between = (low: number, high: number) => low + (random.next().value % (high - low + 1));
  const vector = (n: number, make: () => number) => Int32Array.from({ length: n }, make);
  const divisors = (n: number, most: number) => vector(n, () => 2 * between(0, (most - 1) / 2) + 1);
  const conv = (source: string, target: string, inputs: number, outputs: number, size: number, more: Partial<Conv> = {}): Conv => {
    const depthwise = (more.groups ?? 1) > 1;
    return {
      op: "conv", source, target, outputs, inputs: depthwise ? 1 : inputs, size,
      weight: vector(outputs * (depthwise ? 1 : inputs) * size * size, () => between(-64, 64)),
      bias: vector(outputs, () => between(-5000, 5000)), slope: vector(outputs, () => between(-9, 9)),
      divisor: divisors(outputs, 601), stride: 1, groups: 1, low: -128, high: 127,
      table: new Int32Array(0), tableLow: 0, edge: false, ...more,
    };
  };
  const wide = { low: -32768, high: 32767 };
  const ops: Op[] = [
    { op: "requantize", source: "x", target: "a", divisor: divisors(7, 301), low: -128, high: 127 },
    conv("a", "b", 7, 37, 1, { low: 0, high: 255 }),
    conv("b", "c", 37, 37, 3, { groups: 37 }),
    conv("b", "c2", 37, 37, 3, { groups: 37, edge: true, ...wide, divisor: divisors(37, 16383) }),
    conv("c", "d", 37, 12, 3, wide),
    conv("c2", "e", 37, 12, 3, { ...wide, edge: true, divisor: divisors(12, 16383), weight: vector(12 * 37 * 9, () => between(-4, 4)) }),
    { op: "add", left: "d", right: "e", target: "f" },
    { op: "scale", source: "f", target: "g", factor: vector(12, () => between(-300, 300)) },
    { op: "shuffle", source: "g", target: "h", factor: 2 },
    { op: "requantize", source: "h", target: "i", divisor: divisors(3, 16383), low: -90, high: 100 },
    conv("i", "j", 3, 5, 3, { stride: 2, table: vector(61, () => between(-50, 50)), tableLow: -30 }),
    { op: "unshuffle", source: "h", target: "k", factor: 2 },
    conv("k", "l", 12, 12, 1, { groups: 12, ...wide, weight: vector(12, () => between(-8000, 8000)) }),
    conv("j", "m", 5, 5, 1, { table: vector(9, () => between(-50, 50)), tableLow: 3 }),
  ];
  const program: Program = {
    name: "probe", inputs: [{ name: "x", channels: 7, ...wide }], ops, outputs: ["c2", "f", "i", "j", "l", "m"], infos: new Map(),
  };
  infer(program, "the probe");
  return program;
}

/** An input that reaches the ends of its range. */
export function probeInput(height: number, width: number): Value {
  const value = newValue(height, width, 7);
  const random = numbers();
  for (let i = 0; i < value.data.length; i++) value.data[i] = i % 11 ? random.next().value : i % 2 ? -32768 : 32767;
  return value;
}

const BANK = Bank.of([-2, [4000, 6000, 3000, 3000, 384]], [0, [16383, 1]], [5, [1, 16000, 383]]);
/** 60 symbols. */
const MESSAGE =
  "02480016007a915e04bbf860bf27661b0c1c2f8980808010ff3ffaffffff0fcd7f04d304da3f030908daff01ff7e090689fe" +
  "00090809ff3ffbffffff0fb97ffcffffff0fffff09ffff08030308eebfd7042f300d9abf0a0b6d3f080797bf0a09313fffff" +
  "ffff0ff0ffffff0fff7facfe0a0d020ae104";

/** Says what the kernels do wrong, or nothing. */
export function fault(module: WebAssembly.Module): string | null {
  try {
    const native = new Native(module);
    const runner = new NativeRunner(native);
    const program = probeProgram();
    runner.prepare(program);
    const inputs = new Map([["x", probeInput(5, 7)]]);
    for (const level of [-127, 64]) {
      const wanted = plainRunner.run(program, inputs, level);
      for (const [name, value] of runner.run(program, inputs, level)) {
        const right = wanted.get(name)!;
        if (value.data.length !== right.data.length || value.data.some((x, i) => x !== right.data[i])) {
          return `the WebAssembly kernels are wrong on this machine: ${name} differs`;
        }
      }
    }
    const text = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const hash = (compress?: Compress) => new Sha256(compress).update(text.subarray(0, 70)).update(text).digest().join();
    if (hash() !== hash(nativeReader(module).compress)) return "the WebAssembly hash is wrong on this machine";
    const payload = Uint8Array.from(MESSAGE.match(/../g)!, (digits) => parseInt(digits, 16));
    const indexes = Uint16Array.from({ length: 60 }, (_, i) => i % 3);
    const read = (message: Message) => {
      const symbols = message.part(indexes, BANK);
      message.end();
      return symbols.join();
    };
    if (read(new PlainMessage(payload)) !== read(new NativeMessage(new Banks(native), payload))) {
      return "the WebAssembly entropy decoder is wrong on this machine";
    }
    return null;
  } catch (error) {
    return `the WebAssembly kernels do not run here: ${error instanceof Error ? error.message : error}`;
  }
}
