/** Integer programs as a model file stores them, and what is known of their values. docs/spec/intnet.md. */

import { badModel } from "../errors.js";
import { TreeArray, type Tree } from "../container/tree.js";
import { fields, integer, integers, list, name, within } from "../untrusted.js";

export interface Input {
  name: string;
  channels: number;
  low: number;
  high: number;
}

export interface Conv {
  op: "conv";
  source: string;
  target: string;
  /** [outputs, inputs / groups, size, size] in C order. */
  weight: Int32Array;
  outputs: number;
  inputs: number;
  size: number;
  bias: Int32Array;
  slope: Int32Array;
  divisor: Int32Array;
  stride: number;
  groups: number;
  low: number;
  high: number;
  /** Empty where the result is clipped. */
  table: Int32Array;
  tableLow: number;
  edge: boolean;
}

export interface Requantize { op: "requantize"; source: string; target: string; divisor: Int32Array; low: number; high: number }
export interface Scale { op: "scale"; source: string; target: string; factor: Int32Array }
export interface Add { op: "add"; left: string; right: string; target: string }
export interface Shuffle { op: "shuffle" | "unshuffle"; source: string; target: string; factor: number }

export type Op = Conv | Requantize | Scale | Add | Shuffle;

/**
 * How a value's height follows from the input's: factors in order, 0 for a halving that rounds up. Neighboring
 * factors are joined, so equal steps mean equal sizes for every input. A factor is [numerator, denominator].
 */
export type Step = "half" | readonly [number, number];

export interface Info {
  channels: number;
  low: number;
  high: number;
  steps: readonly Step[];
}

export interface Program {
  name: string;
  inputs: Input[];
  ops: Op[];
  outputs: string[];
  infos: Map<string, Info>;
}

const MAX_OPS = 4096;
const MAX_CHANNELS = 4096;
const MAX_INT = 2 ** 31 - 1;

export const sourcesOf = (op: Op): string[] => (op.op === "add" ? [op.left, op.right] : [op.source]);
export const clip = (x: number, low: number, high: number) => (x < low ? low : x > high ? high : x);
export const clip16 = (x: number) => clip(x, -32768, 32767);

/** Build a program from untrusted content, and check all but its bounds. */
export function readProgram(tree: Tree | undefined, what: string): Program {
  const top = fields(tree, ["name", "inputs", "ops", "outputs"], what);
  const title = name(top.get("name"), what);
  const inputs = list(top.get("inputs"), MAX_OPS, `${what}: inputs`).map((item): Input => {
    const entry = fields(item, ["name", "channels", "low", "high"], `${what}: an input`);
    const inputName = name(entry.get("name"), `${what}: an input`);
    const number = (key: string) => integer(entry.get(key), `${what}: ${inputName}: ${key}`);
    return { name: inputName, channels: number("channels"), low: number("low"), high: number("high") };
  });
  const ops = list(top.get("ops"), MAX_OPS, `${what}: ops`).map((item, i) => readOp(item, `${what}: op ${i}`));
  const outputs = list(top.get("outputs"), MAX_OPS, `${what}: outputs`).map((item) => name(item, `${what}: an output`));
  const program: Program = { name: title, inputs, ops, outputs, infos: new Map() };
  infer(program, what);
  return program;
}

const KEYS: Record<string, string[]> = {
  conv: ["source", "target", "weight", "bias", "slope", "divisor", "stride", "groups", "low", "high", "table", "table_low"],
  requantize: ["source", "target", "divisor", "low", "high"],
  scale: ["source", "target", "factor"],
  add: ["left", "right", "target"],
  shuffle: ["source", "target", "factor"],
  unshuffle: ["source", "target", "factor"],
};

function readOp(tree: Tree, what: string): Op {
  const kind = tree instanceof Map ? tree.get("op") : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(KEYS, kind)) throw badModel(`${what} is no operation`);
  const edge = (tree as Map<string, Tree>).has("edge") && kind === "conv";
  const entry = fields(tree, ["op", ...KEYS[kind]!, ...(edge ? ["edge"] : [])], what);
  const target = name(entry.get("target"), `${what}: target`);
  what = `${what} (${kind} ${target})`;
  if (kind === "add") {
    return { op: kind, left: name(entry.get("left"), what), right: name(entry.get("right"), what), target };
  }
  const source = name(entry.get("source"), `${what}: source`);
  const number = (key: string) => integer(entry.get(key), `${what}: ${key}`);
  switch (kind) {
    case "requantize": {
      const divisor = integers(entry.get("divisor"), "int16", `${what}: divisor`);
      vector(entry.get("divisor"), what);
      return { op: kind, source, target, divisor, low: number("low"), high: number("high") };
    }
    case "scale":
      vector(entry.get("factor"), what);
      return { op: kind, source, target, factor: integers(entry.get("factor"), "int16", `${what}: factor`) };
    case "shuffle":
    case "unshuffle":
      return { op: kind, source, target, factor: number("factor") };
  }
  const weight = entry.get("weight");
  if (!(weight instanceof TreeArray) || weight.shape.length !== 4) throw badModel(`${what}: weight has not 4 axes`);
  const [outputs, inputs, size, columns] = weight.shape as [number, number, number, number];
  if (size !== columns || (size !== 1 && size !== 3)) throw badModel(`${what}: a kernel of ${size} x ${columns}`);
  if (outputs < 1 || outputs > MAX_CHANNELS) throw badModel(`${what}: ${outputs} channels, legal: 1..${MAX_CHANNELS}`);
  const row = (key: "bias" | "slope" | "divisor", type: "int32" | "int16") =>
    integers(entry.get(key), type, `${what}: ${key}`, [outputs]);
  const table = integers(entry.get("table"), "int16", `${what}: table`);
  vector(entry.get("table"), what);
  if (edge) integer(entry.get("edge"), `${what}: edge`, 1, 1);
  return {
    op: "conv", source, target, outputs, inputs, size, edge, table,
    weight: within(integers(weight, "int16", `${what}: weight`), -8191, 8191, `${what}: weight`),
    bias: within(row("bias", "int32"), -MAX_INT, MAX_INT, `${what}: bias`),
    slope: within(row("slope", "int32"), -MAX_INT, MAX_INT, `${what}: slope`),
    divisor: row("divisor", "int16"),
    stride: number("stride"), groups: number("groups"), low: number("low"), high: number("high"),
    tableLow: number("table_low"),
  };
}

function vector(value: Tree | undefined, what: string): void {
  if (value instanceof TreeArray && value.shape.length !== 1) throw badModel(`${what}: an array has not one axis`);
}

/** Find out what is known of every value; fills `infos`. */
export function infer(program: Program, what: string): void {
  const { infos, inputs, ops, outputs } = program;
  const define = (target: string, info: Info) => {
    if (infos.has(target)) throw badModel(`${what}: ${target} is defined twice`);
    if (info.channels < 1 || info.channels > MAX_CHANNELS) {
      throw badModel(`${what}: ${target} has ${info.channels} channels, legal: 1..${MAX_CHANNELS}`);
    }
    if (!(-32768 <= info.low && info.low <= info.high && info.high <= 32767)) {
      throw badModel(`${what}: ${target}: the range ${info.low}..${info.high} is empty or leaves 16 bits`);
    }
    const [up, down] = resolution(info.steps);
    if (up > 64 * down || up * 4096 < down) throw badModel(`${what}: ${target} is resized by ${up}/${down}`);
    infos.set(target, info);
  };
  if (inputs.length === 0) throw badModel(`${what} has no input`);
  for (const input of inputs) define(input.name, { ...input, steps: [] });
  for (const op of ops) {
    const sources = sourcesOf(op).map((source) => {
      const info = infos.get(source);
      if (info === undefined) throw badModel(`${what}: ${op.target} reads ${source}, which is not defined before`);
      return info;
    });
    define(op.target, result(op, sources, `${what}: ${op.target}`));
  }
  if (outputs.length === 0 || new Set(outputs).size !== outputs.length) {
    throw badModel(`${what}: its outputs are none, or repeat`);
  }
  for (const output of outputs) if (!infos.has(output)) throw badModel(`${what}: its output ${output} is not defined`);
}

function result(op: Op, sources: Info[], what: string): Info {
  const info = sources[0]!;
  const { channels, steps } = info;
  switch (op.op) {
    case "conv":
      checkConv(op, info, what);
      return { channels: op.outputs, low: op.low, high: op.high, steps: op.stride === 2 ? resized(steps, "half") : steps };
    case "requantize":
      if (op.divisor.length !== channels) throw badModel(`${what}: ${op.divisor.length} divisors for ${channels} channels`);
      checkDivisor(op.divisor, what);
      return { channels, low: op.low, high: op.high, steps };
    case "scale": {
      if (op.factor.length !== channels) throw badModel(`${what}: ${op.factor.length} factors for ${channels} channels`);
      const ends = Array.from(op.factor).flatMap((f) => [f * info.low, f * info.high]);
      return { channels, low: clip16(Math.min(...ends)), high: clip16(Math.max(...ends)), steps };
    }
    case "add": {
      const other = sources[1]!;
      const [a, b] = [resolution(steps), resolution(other.steps)];
      if (channels !== other.channels || a[0] * b[1] !== a[1] * b[0]) throw badModel(`${what} adds values that differ in shape`);
      return { channels, low: clip16(info.low + other.low), high: clip16(info.high + other.high), steps };
    }
    default: {
      const r = op.factor;
      if (r < 1 || r > 16) throw badModel(`${what}: a factor of ${r}, legal: 1..16`);
      if (op.op === "unshuffle") return { ...info, channels: channels * r * r, steps: resized(steps, [1, r]) };
      if (channels % (r * r)) throw badModel(`${what}: ${channels} channels are no multiple of ${r * r}`);
      return { ...info, channels: channels / (r * r), steps: resized(steps, [r, 1]) };
    }
  }
}

function checkConv(op: Conv, info: Info, what: string): void {
  if (op.stride !== 1 && op.stride !== 2) throw badModel(`${what}: a stride of ${op.stride}, legal: 1 and 2`);
  if (op.groups !== 1 && !(op.groups === info.channels && op.groups === op.outputs)) {
    throw badModel(`${what}: ${op.groups} groups`);
  }
  if (op.inputs * op.groups !== info.channels) {
    throw badModel(`${what}: weights for ${op.inputs * op.groups} channels, the input has ${info.channels}`);
  }
  checkDivisor(op.divisor, what);
  if (op.table.length === 0) {
    if (op.tableLow !== 0) throw badModel(`${what}: table_low is ${op.tableLow} without a table`);
    return;
  }
  if (op.table.length > 65536) throw badModel(`${what}: a table of ${op.table.length} entries`);
  if (Math.abs(op.tableLow) > 65536) throw badModel(`${what}: table_low is ${op.tableLow}`);
  within(op.table, op.low, op.high, `${what}: table`);
}

function checkDivisor(divisor: Int32Array, what: string): void {
  within(divisor, 1, 16383, `${what}: divisor`);
  for (const c of divisor) if (c % 2 === 0) throw badModel(`${what}: a divisor of ${c} is even`);
}

function resized(steps: readonly Step[], step: Step): readonly Step[] {
  const last = steps[steps.length - 1];
  if (last !== undefined && last !== "half" && step !== "half") {
    step = reduced(last[0] * step[0], last[1] * step[1]);
    steps = steps.slice(0, -1);
  }
  return step !== "half" && step[0] === step[1] ? steps : [...steps, step];
}

function reduced(a: number, b: number): readonly [number, number] {
  let [x, y] = [a, b];
  while (y) [x, y] = [y, x % y];
  return [a / x, b / x];
}

/** Height relative to the input, rounding aside: numerator and denominator. */
export function resolution(steps: readonly Step[]): readonly [number, number] {
  let fraction: readonly [number, number] = [1, 1];
  for (const step of steps) {
    const [a, b]: readonly [number, number] = step === "half" ? [1, 2] : step;
    fraction = reduced(fraction[0] * a, fraction[1] * b);
  }
  return fraction;
}

/** The height (or width) of a value for an input's. */
export function sizeOf(steps: readonly Step[], side: number): number {
  return steps.reduce((n: number, step) => (step === "half" ? Math.ceil(n / 2) : (n * step[0]) / step[1]), side);
}
