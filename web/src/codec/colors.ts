/** Mean colors, predicted from their neighbors. docs/spec/image.md and image2.md, section 5. */

import { clip16 } from "../intnet/program.js";
import { rectOf, type Plane, type Rect } from "./plane.js";
import type { Layout } from "./tiles.js";

/** How far a corrected color of image codec 2 depends on others. */
export const COLOR_REACH = 29;
const BLOCK = 16;

/** Pass A: `y` is corrected in place; `symbols` and `mean` are laid out as `y`. */
export interface Colors {
  y: Plane;
  mean: Plane;
  symbols: Int32Array;
  predicted: number;
  step: (channel: number) => number;
  layout: Layout;
}

const DIAGONAL = [[-1, -1], [-1, 1], [1, -1], [1, 1]] as const;
const CROSS = [[-1, 0], [1, 0], [0, -1], [0, 1]] as const;

const average = (total: number, n: number) => Math.floor((2 * total + n) / (2 * n));

/** The stage in which a position of pass A is corrected: 0 an anchor, then 1..7. */
export function stageOf(row: number, column: number): number {
  const bits = row | column;
  if (bits % BLOCK === 0) return 0;
  let s = 8;
  let stage = 1;
  while (bits % s) {
    s /= 2;
    stage += 2;
  }
  return (row & column) & s ? stage : stage + 1;
}

/** Image codec 1: blocks of 16 x 16 latents, each alone. */
export function correctBlocks(colors: Colors): void {
  const { rect } = colors.y;
  for (let top = rect.top; top < rect.bottom; top += BLOCK) {
    for (let left = rect.left; left < rect.right; left += BLOCK) {
      correct(colors, rectOf(top, left, Math.min(rect.bottom, top + BLOCK), Math.min(rect.right, left + BLOCK)));
    }
  }
}

/** Image codec 2: the whole image, or what of it is here. */
export function correctImage(colors: Colors): void {
  correct(colors, colors.y.rect);
}

/** Correct pass A within a rectangle whose corner is a multiple of 16; neighbors outside do not exist. */
function correct({ y, mean, symbols, predicted, step }: Colors, area: Rect): void {
  const across = area.right - area.left;
  const wrong = new Int32Array((area.bottom - area.top) * across);
  for (let k = 0; k < predicted; k++) {
    const size = step(k);
    const visit = (row: number, column: number, s: number, neighbors: readonly (readonly [number, number])[]) => {
      let total = 0;
      let n = 0;
      for (const [dy, dx] of neighbors) {
        const r = row + dy * s;
        const c = column + dx * s;
        if (r < area.top || r >= area.bottom || c < area.left || c >= area.right) continue;
        total += wrong[(r - area.top) * across + c - area.left]!;
        n++;
      }
      const at = y.at(row, column) + k;
      const plain = mean.data[at]!;
      const value = clip16(clip16(plain + (n ? average(total, n) : 0)) + symbols[at]! * size);
      y.data[at] = value;
      wrong[(row - area.top) * across + column - area.left] = value - plain;
    };
    for (let row = area.top; row < area.bottom; row += BLOCK) {
      for (let column = area.left; column < area.right; column += BLOCK) visit(row, column, 0, []);
    }
    for (let s = 8; s >= 1; s /= 2) {
      for (let row = area.top + s; row < area.bottom; row += 2 * s) {
        for (let column = area.left + s; column < area.right; column += 2 * s) visit(row, column, s, DIAGONAL);
      }
      if (s === 1) break;
      for (let row = area.top; row < area.bottom; row += s) {
        const odd = ((row - area.top) / s) % 2;
        for (let column = area.left + (odd ? 0 : s); column < area.right; column += 2 * s) visit(row, column, s, CROSS);
      }
    }
  }
}

/**
 * Pass B: `mean` becomes the corrected mean at the positions of pass B.
 *
 * @param y of pass A, with 0 elsewhere; covers at least one position more than `mean` on all sides.
 * @param block positions of other blocks of this size are no neighbors; null: there are no blocks.
 */
export function correctPassB(y: Plane, mean: Plane, predicted: number, block: number | null, layout: Layout): void {
  const { rect } = mean;
  const apart = (a: number, b: number) => block !== null && Math.floor(a / block) !== Math.floor(b / block);
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let column = rect.left; column < rect.right; column++) {
      if (((row + column) & 1) === 0) continue;
      for (let k = 0; k < predicted; k++) {
        let total = 0;
        let n = 0;
        for (const [dy, dx] of CROSS) {
          const r = row + dy;
          const c = column + dx;
          if (r < 0 || r >= layout.rows || c < 0 || c >= layout.columns || apart(r, row) || apart(c, column)) continue;
          total += y.data[y.at(r, c) + k]!;
          n++;
        }
        const at = mean.at(row, column) + k;
        mean.data[at] = clip16(mean.data[at]! + (n ? average(total, n) : 0));
      }
    }
  }
}
