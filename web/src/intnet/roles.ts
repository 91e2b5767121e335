/** What each program of a model is for: the tables of docs/spec/image.md, image2.md, hyperprior.md and vector.md, section 1. */

import { badModel } from "../errors.js";
import type { Program, Step } from "./program.js";
import { sizeOf } from "./program.js";

export interface Signal {
  name: string;
  /** A number, or a letter: where it occurs again, the number is the same. */
  channels: number | string;
  low: number;
  high: number;
  /** Pixels on a side of the square that one position stands for. */
  px: number;
  /** Height and width are multiples of this. */
  multiple: number;
}

export interface Role {
  name: string;
  inputs: Signal[];
  outputs: Signal[];
}

const wide = { low: -32768, high: 32767 };
const signal = (name: string, channels: number | string, px: number, range = wide, multiple = 1): Signal => ({
  name, channels, px, ...range, multiple,
});
const int8 = { low: -128, high: 127 };
const pixels = signal("pixels", 3, 1, int8, 16);
const y = signal("y", "M", 16);
const f = signal("f", "C", 16);
const mean = signal("mean", "M", 16);
const theta = signal("theta", "M", 16, { low: 0, high: 255 });

/** Roles of image codecs 1 and 2; z has 8 bits in one and 16 in the other. */
export function checkerboardRoles(zBits: 8 | 16): Role[] {
  const coded = signal("z", "N", 64, int8);
  const z = zBits === 8 ? coded : signal("z", "N", 64);
  return [
    { name: "analysis", inputs: [pixels], outputs: [y] },
    { name: "hyper_analysis", inputs: [y], outputs: [z] },
    { name: "hyper_synthesis", inputs: [z], outputs: [f] },
    { name: "prior_a", inputs: [f], outputs: [mean, theta] },
    { name: "prior_b", inputs: [f, y], outputs: [mean, theta] },
    { name: "synthesis", inputs: [y], outputs: [pixels] },
  ];
}

/** Roles of the kind hyperprior. */
export function hyperpriorRoles(hasHyper: boolean): Role[] {
  const z = signal("z", "N", 64, int8);
  const even = signal("y", "M", 16, wide, 4);
  const hyper = [
    { name: "hyper_analysis", inputs: [even], outputs: [z] },
    { name: "hyper_synthesis", inputs: [z], outputs: [theta] },
  ];
  return [
    { name: "analysis", inputs: [pixels], outputs: [y] },
    ...(hasHyper ? hyper : []),
    { name: "synthesis", inputs: [y], outputs: [pixels] },
  ];
}

/** Roles of the kind vector; `largest`: the analysis gives a logit for each center of each slot. */
export function vectorRoles(largest: boolean): Role[] {
  return [
    { name: "analysis", inputs: [pixels], outputs: [largest ? signal("y", "A", 16) : y] },
    { name: "synthesis", inputs: [y], outputs: [pixels] },
  ];
}

/** Check that programs can play their roles for every size of image; returns what the letters stand for. */
export function checkRoles(programs: Map<string, Program>, roles: Role[]): Map<string, number> {
  const letters = new Map<string, number>();
  for (const role of roles) {
    const program = programs.get(role.name)!;
    const names = [program.inputs.map((input) => input.name), program.outputs];
    const wanted = [role.inputs, role.outputs].map((signals) => signals.map((s) => s.name));
    if (names.flat().join() !== wanted.flat().join() || names[0]!.length !== wanted[0]!.length) {
      throw badModel(`${role.name} maps ${names[0]} to ${names[1]}, wanted ${wanted[0]} to ${wanted[1]}`);
    }
    for (const s of [...role.inputs, ...role.outputs]) checkChannels(role, program, s, letters);
    checkSizes(role, program);
    checkRanges(role, program);
  }
  return letters;
}

function checkChannels(role: Role, program: Program, s: Signal, letters: Map<string, number>): void {
  const { channels } = program.infos.get(s.name)!;
  if (typeof s.channels === "string" && !letters.has(s.channels)) letters.set(s.channels, channels);
  const wanted = typeof s.channels === "string" ? letters.get(s.channels) : s.channels;
  if (channels !== wanted) throw badModel(`${role.name}: ${s.name} has ${channels} channels, wanted ${wanted}`);
}

const divides = (step: Step) => step !== "half" && step[1] > 1;
const same = (a: readonly Step[], b: readonly Step[]) => JSON.stringify(a) === JSON.stringify(b);

/** The program runs on every size, and its outputs have the sizes of the page. */
function checkSizes(role: Role, program: Program): void {
  const { infos } = program;
  for (const op of program.ops) {
    if (op.op === "add" && !same(infos.get(op.left)!.steps, infos.get(op.right)!.steps)) {
      throw badModel(`${role.name}: ${op.target} adds values of different sizes`);
    }
  }
  const { multiple, px } = role.inputs[0]!;
  for (const [name, { steps }] of infos) {
    const dividing = steps.filter(divides);
    if (dividing.length === 0) continue;
    // The first step alone sees the input's own height, of which a divisor is known.
    const first = steps[0]!;
    if (dividing.length > 1 || first === "half" || !divides(first) || multiple % first[1]) {
      throw badModel(`${role.name}: ${name} does not fit every size of image`);
    }
  }
  for (const output of role.outputs) {
    const { steps } = infos.get(output.name)!;
    const wanted: Step[] = px > output.px ? [[px / output.px, 1]] : new Array<Step>(Math.log2(output.px / px)).fill("half");
    let right = same(steps, wanted);
    if (multiple > 1) {
      right = true;
      for (let side = multiple; side <= multiple * multiple; side += multiple) {
        right &&= sizeOf(steps, side) === sizeOf(wanted, side);
      }
    }
    if (!right) throw badModel(`${role.name}: ${output.name} has another size than it must have`);
  }
}

/** A program is proven for what it is given, and gives no more than others are proven for. */
function checkRanges(role: Role, program: Program): void {
  for (const s of role.inputs) {
    const { low, high } = program.infos.get(s.name)!;
    if (low !== s.low || high !== s.high) {
      throw badModel(`${role.name}: ${s.name} is in ${low}..${high}, wanted ${s.low}..${s.high}`);
    }
  }
  for (const s of role.outputs) {
    const { low, high } = program.infos.get(s.name)!;
    if (low < s.low || high > s.high) {
      throw badModel(`${role.name}: ${s.name} reaches ${low}..${high}, beyond ${s.low}..${s.high}`);
    }
  }
}
