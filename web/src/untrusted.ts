/** Checks of plain values that come from models of unknown origin. */

import { badModel, quoted } from "./errors.js";
import { TreeArray, type ArrayType, type Tree } from "./container/tree.js";

export type Fields = Map<string, Tree>;

/** A map with exactly these keys. */
export function fields(value: Tree | undefined, keys: readonly string[], what: string): Fields {
  if (!(value instanceof Map)) throw badModel(`${what} is no map`);
  const odd = [...value.keys()].filter((key) => !keys.includes(key));
  const missing = keys.filter((key) => !value.has(key));
  if (odd.length) throw badModel(`${what} has an unknown key ${quoted(odd[0])}`);
  if (missing.length) throw badModel(`${what} lacks the key ${missing[0]}`);
  return value;
}

export function text(value: Tree | undefined, what: string): string {
  if (typeof value !== "string") throw badModel(`${what} is no text`);
  return value;
}

export function list(value: Tree | undefined, longest: number, what: string): Tree[] {
  if (!Array.isArray(value)) throw badModel(`${what} is no list`);
  if (value.length > longest) throw badModel(`${what} has ${value.length} entries, at most ${longest}`);
  return value;
}

export function integer(value: Tree | undefined, what: string, low = -(2 ** 31) + 1, high = 2 ** 31 - 1): number {
  if (typeof value !== "number" || value < low || value > high) {
    throw badModel(`${what} is no integer in ${low}..${high}`);
  }
  return value;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

export function name(value: Tree | undefined, what: string): string {
  if (typeof value !== "string" || !NAME.test(value)) throw badModel(`${what}: ${quoted(value)} is no name`);
  return value;
}

/** The integers of an array of this type and, where given, this shape. */
export function integers(
  value: Tree | undefined,
  type: ArrayType,
  what: string,
  shape?: readonly number[],
): Int32Array {
  if (!(value instanceof TreeArray)) throw badModel(`${what} is no array`);
  if (value.type !== type) throw badModel(`${what} is an array of ${value.type}, not of ${type}`);
  if (shape !== undefined && !sameShape(value.shape, shape)) {
    throw badModel(`${what} has the shape [${value.shape}], not [${shape}]`);
  }
  return value.integers();
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** All values of an array lie within these ends. */
export function within(values: Int32Array, low: number, high: number, what: string): Int32Array {
  for (const value of values) {
    if (value < low || value > high) throw badModel(`${what} has the value ${value}, legal: ${low}..${high}`);
  }
  return values;
}
