/** Rectangles of grids, arrays over them, and programs run over a part of an image. */

import { newValue, type Runner, type Value } from "../intnet/ops.js";
import type { Program } from "../intnet/program.js";

/** Rows top..bottom - 1, columns left..right - 1 of a grid. */
export interface Rect {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

export const rectOf = (top: number, left: number, bottom: number, right: number): Rect => ({ top, left, bottom, right });
export const height = (r: Rect) => r.bottom - r.top;
export const width = (r: Rect) => r.right - r.left;

/** A rectangle with a margin, within the grid of `rows` x `columns`. */
export function grown(r: Rect, margin: number, rows: number, columns: number): Rect {
  return rectOf(
    Math.max(0, r.top - margin), Math.max(0, r.left - margin),
    Math.min(rows, r.bottom + margin), Math.min(columns, r.right + margin),
  );
}

/** Whether a rectangle has all of another one. */
export const covers = (r: Rect, part: Rect) =>
  r.top <= part.top && r.left <= part.left && r.bottom >= part.bottom && r.right >= part.right;

/** The smallest rectangle of squares of `side` that covers one; counted in squares. */
export function squares(r: Rect, side: number): Rect {
  return rectOf(Math.floor(r.top / side), Math.floor(r.left / side), Math.ceil(r.bottom / side), Math.ceil(r.right / side));
}

/** Squares counted in their own units again, cut to the grid. */
export function unsquares(r: Rect, side: number, rows: number, columns: number): Rect {
  return rectOf(r.top * side, r.left * side, Math.min(rows, r.bottom * side), Math.min(columns, r.right * side));
}

/** A value that covers a rectangle of a grid. */
export class Plane {
  constructor(
    readonly rect: Rect,
    readonly value: Value,
  ) {}

  static empty(rect: Rect, channels: number): Plane {
    return new Plane(rect, newValue(height(rect), width(rect), channels));
  }

  get data(): Int16Array {
    return this.value.data;
  }

  /** Where the channels of a position begin. */
  at(row: number, column: number): number {
    return ((row - this.rect.top) * this.value.width + column - this.rect.left) * this.value.channels;
  }

  /** A part of it; the plane itself if that is all. */
  cut(rect: Rect): Value {
    const { value, rect: own } = this;
    if (rect.top === own.top && rect.left === own.left && rect.bottom === own.bottom && rect.right === own.right) return value;
    const out = newValue(height(rect), width(rect), value.channels);
    const row = out.width * out.channels;
    for (let y = 0; y < out.height; y++) {
      const from = this.at(rect.top + y, rect.left);
      out.data.set(value.data.subarray(from, from + row), y * row);
    }
    return out;
  }

  /** Copy `value`, which covers `from`, to the part of it that lies in `to`. */
  paste(value: Value, from: Rect, to: Rect): void {
    const row = width(to) * value.channels;
    for (let y = to.top; y < to.bottom; y++) {
      const start = ((y - from.top) * value.width + to.left - from.left) * value.channels;
      this.data.set(value.data.subarray(start, start + row), this.at(y, to.left));
    }
  }
}

type Interval = readonly [number, number];

/** Which rows (or columns) of the inputs the rows `wanted` of all outputs depend on; may leave the grid. */
export function needed(program: Program, wanted: Interval): Interval {
  const need = new Map<string, Interval>(program.outputs.map((name) => [name, wanted]));
  const join = (name: string, low: number, high: number) => {
    const known = need.get(name);
    need.set(name, known === undefined ? [low, high] : [Math.min(low, known[0]), Math.max(high, known[1])]);
  };
  for (const op of [...program.ops].reverse()) {
    const target = need.get(op.target);
    if (target === undefined) continue;
    const [a, b] = target;
    switch (op.op) {
      case "conv": {
        const margin = (op.size - 1) / 2;
        join(op.source, a * op.stride - margin, (b - 1) * op.stride + margin + 1);
        break;
      }
      case "add":
        join(op.left, a, b);
        join(op.right, a, b);
        break;
      case "shuffle":
        join(op.source, Math.floor(a / op.factor), Math.ceil(b / op.factor));
        break;
      case "unshuffle":
        join(op.source, a * op.factor, b * op.factor);
        break;
      default:
        join(op.source, a, b);
    }
  }
  const found = program.inputs.map((input) => need.get(input.name)).filter((i) => i !== undefined);
  return [Math.min(...found.map((i) => i[0])), Math.max(...found.map((i) => i[1]))];
}

/** The part of the inputs' grid that a part of the outputs depends on. */
export function neededRect(program: Program, wanted: Rect, rows: number, columns: number): Rect {
  const [top, bottom] = needed(program, [wanted.top, wanted.bottom]);
  const [left, right] = needed(program, [wanted.left, wanted.right]);
  return grown(rectOf(top, left, bottom, right), 0, rows, columns);
}

/** Most positions of the outputs, counted in positions of the inputs' grid, that are computed at a time. */
const BLOCK = 64;

/**
 * The outputs of a program over a rectangle of its outputs' grid.
 *
 * @param scale outputs have so many times the rows of inputs.
 * @param rows, columns of the inputs' whole grid.
 */
export function runOver(
  runner: Runner, program: Program, inputs: Map<string, Plane>, level: number,
  wanted: Rect, scale: number, rows: number, columns: number,
  done?: (name: string, value: Value, from: Rect, to: Rect) => void,
): Map<string, Plane> {
  const out = new Map<string, Plane>();
  if (done === undefined) {
    for (const name of program.outputs) out.set(name, Plane.empty(wanted, program.infos.get(name)!.channels));
  }
  const side = BLOCK * scale;
  const blocks = squares(wanted, side);
  for (let by = blocks.top; by < blocks.bottom; by++) {
    for (let bx = blocks.left; bx < blocks.right; bx++) {
      const to = rectOf(
        Math.max(wanted.top, by * side), Math.max(wanted.left, bx * side),
        Math.min(wanted.bottom, (by + 1) * side), Math.min(wanted.right, (bx + 1) * side),
      );
      const need = neededRect(program, to, rows, columns);
      const given = new Map([...inputs].map(([name, plane]) => [name, plane.cut(need)]));
      const from = rectOf(need.top * scale, need.left * scale, need.bottom * scale, need.right * scale);
      for (const [name, value] of runner.run(program, given, level)) {
        if (done === undefined) out.get(name)!.paste(value, from, to);
        else done(name, value, from, to);
      }
    }
  }
  return out;
}
