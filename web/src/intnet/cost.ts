/** What it takes to hold and to run a program; the limits of docs/spec/intnet.md. Fractions are exact: powers of two. */

import { badModel } from "../errors.js";
import { resolution, sourcesOf, type Program } from "./program.js";

export interface Cost {
  ops: number;
  channels: number;
  weights: number;
  /** Multiplications and bytes alive at a time, per position of the inputs. */
  macs: number;
  bytes: number;
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
  return { ops: ops.length, channels, weights, macs, bytes };
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
