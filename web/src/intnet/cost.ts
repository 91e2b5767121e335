/** What it takes to hold and to run a program; the limits of docs/spec/intnet.md. Fractions are exact: powers of two. */

import { badModel } from "../errors.js";
import { resolution, sourcesOf, type Op, type Program } from "./program.js";

export interface Cost {
  ops: number;
  channels: number;
  weights: number;
  /** Multiplications and bytes alive at a time, per position of the inputs. */
  macs: number;
  bytes: number;
  /** An estimate of the time, on the long side: what Python's two fast backends take together. */
  picoseconds: number;
}

export function costOf(program: Program): Cost {
  const { infos, ops } = program;
  const area = (name: string) => {
    const [a, b] = resolution(infos.get(name)!.steps);
    return (a * a) / (b * b);
  };
  const size = (name: string) => 2 * infos.get(name)!.channels * area(name);
  const touched = ops.map((op) => [op.target, ...sourcesOf(op)]);
  const last = new Map<string, number>();
  touched.forEach((names, i) => names.forEach((name) => last.set(name, i)));
  for (const name of program.outputs) last.set(name, ops.length);
  let alive = program.inputs.reduce((sum, input) => sum + size(input.name), 0);
  let bytes = alive;
  touched.forEach((names, i) => {
    alive += size(names[0]!);
    bytes = Math.max(bytes, alive);
    for (const name of new Set(names)) if (last.get(name) === i) alive -= size(name);
  });
  let macs = 0;
  let weights = 0;
  for (const op of ops) {
    if (op.op !== "conv") continue;
    weights += op.weight.length;
    macs += op.weight.length * area(op.target);
  }
  const channels = touched.flat().reduce((sum, name) => sum + infos.get(name)!.channels, 0);
  const finest = (op: Op) => Math.max(...[op.target, ...sourcesOf(op)].map(area));
  const picoseconds = ops.reduce((sum, op) => sum + timeOf(op, program) * finest(op), 0);
  return { ops: ops.length, channels, weights, macs, bytes, picoseconds };
}

/** Picoseconds of an operation at one position of its grid. */
function timeOf(op: Op, { infos }: Program): number {
  const { channels } = infos.get(op.target)!;
  switch (op.op) {
    case "conv": {
      const { low, high } = infos.get(op.source)!;
      const wide = !(low >= 0 && high <= 255) && !(low >= -128 && high <= 127);
      const position = (op.size === 1 ? 15_000 : 70_000) + (op.table.length ? 3_000 * channels : 0);
      if (op.groups > 1) {
        const each = op.size === 1 ? (wide ? 5_000 : 2_500) : wide ? 16_000 : 6_500;
        return position + each * op.outputs;
      }
      return position + (wide ? 45 : 28) * op.weight.length + 1_500 * (op.inputs * op.size ** 2 + op.outputs);
    }
    case "shuffle":
      return 8_000 + 1_400 * channels;
    case "unshuffle":
      return 8_000 + Math.floor((3_000 * channels) / op.factor ** 2);
    default:
      return 10_000 + 1_000 * channels;
  }
}

/**
 * Refuse a model that travels in an image file, which nobody chose, if it has too many operations.
 *
 * @returns as how many pixels one counts: 1 for what the shipped models take.
 */
export function embeddedWeight(programs: [string, Program, number][], latents: number): number {
  const costs = programs.map(([role, program, px]) => ({ ...costOf(program), role, area: px ** 2 }));
  atMost(costs.reduce((sum, cost) => sum + cost.ops, 0), 512, "operations, in an image file");
  atMost(costs.reduce((sum, cost) => sum + cost.channels, 0), 131072, "channels in all operations, in an image file");
  const decoding = costs.filter(({ role }) => !role.endsWith("analysis"));
  const perPixel = latents / 256;
  const time = decoding.reduce((sum, cost) => sum + cost.picoseconds / cost.area, perPixel * 250_000);
  const memory = Math.max(...decoding.map((cost) => cost.bytes / cost.area)) + perPixel * 36;
  return Math.max(1, time / 2_000_000, memory / 128);
}

/** Refuse models that take too much; `px` says how many pixels a side of a program's input position has. */
export function checkCosts(programs: [string, Program, number][]): void {
  let macs = 0;
  let weights = 0;
  for (const [role, program, px] of programs) {
    const cost = costOf(program);
    atMost(cost.ops, 512, `${role}: operations`);
    atMost(cost.channels, 131072, `${role}: channels in all operations`);
    atMost(cost.bytes / px ** 2, 256, `${role}: bytes per pixel`);
    macs += cost.macs / px ** 2;
    weights += cost.weights;
  }
  atMost(macs, 524288, "multiplications per pixel");
  atMost(weights, 2 ** 25, "weights");
}

function atMost(value: number, most: number, what: string): void {
  if (value > most) throw badModel(`the model's ${what}: ${Math.ceil(value)}, at most ${most}`);
}
