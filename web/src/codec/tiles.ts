/** Tiles: what every kind's payload begins with, and their place in the grids. docs/spec/image.md, sections 2 and 3. */

import type { Message } from "../bits/rans.js";
import { Bank } from "../bits/tables.js";
import { columns, rows, type ImageFile } from "../container/image_file.js";
import { corrupt } from "../errors.js";
import { clip } from "../intnet/program.js";
import type { Runner } from "../intnet/ops.js";
import type { Model } from "./model.js";
import { Plane, rectOf, squares, unsquares, type Rect } from "./plane.js";

/** What decoding the latents of a file needs. */
export interface Context {
  file: ImageFile;
  model: Model;
  runner: Runner;
  open(payload: Uint8Array): Message;
  /** Called now and then with the share of the work that is done, 0..1. */
  progress?: (share: number) => void;
}

/** The grids of a file: latents, hyper-latents (a quarter, rounded up), tiles. */
export class Layout {
  readonly rows: number;
  readonly columns: number;
  readonly side: number;

  constructor(readonly file: ImageFile) {
    this.rows = rows(file.header);
    this.columns = columns(file.header);
    this.side = 2 ** file.header.tileLog2;
  }

  get hyperRows(): number {
    return Math.ceil(this.rows / 4);
  }

  get hyperColumns(): number {
    return Math.ceil(this.columns / 4);
  }

  /** The latents of all tiles that a rectangle of latents touches. */
  whole(rect: Rect): Rect {
    return unsquares(squares(rect, this.side), this.side, this.rows, this.columns);
  }

  /** The tiles in a rectangle of latents that is made of whole tiles: number and latents of each. */
  tiles(rect: Rect): [number, Rect][] {
    const found: [number, Rect][] = [];
    const part = squares(rect, this.side);
    const across = Math.ceil(this.columns / this.side);
    for (let ty = part.top; ty < part.bottom; ty++) {
      for (let tx = part.left; tx < part.right; tx++) {
        const one = rectOf(ty, tx, ty + 1, tx + 1);
        found.push([ty * across + tx, unsquares(one, this.side, this.rows, this.columns)]);
      }
    }
    return found;
  }
}

/** The hyper-latents of a rectangle of latents. */
export const hyperRect = (rect: Rect) => squares(rect, 4);

export const REPEATS = Bank.of([0, [6144, 6144, 2048, 2047, 1]], [0, [15359, 1024, 1]], [0, [10922, 5461, 1]], [0, [255, 16128, 1]]);

/** Messages of tiles that were begun, by number, and the hyper-latents that they begin with. */
export interface Begun {
  messages: Map<number, Message>;
  z: Plane;
}

/**
 * Read mode, repeats and z of all tiles of a rectangle of whole tiles.
 *
 * @param firstTable of `tablesZ`; channel n has table firstTable + n.
 */
export function beginTiles(context: Context, layout: Layout, rect: Rect, firstTable: number): Begun {
  const { model, file } = context;
  const bank = model.tablesZ!;
  const n = model.hyper;
  const z = Plane.empty(hyperRect(rect), n);
  const messages = new Map<number, Message>();
  for (const [number, latents] of layout.tiles(rect)) {
    const message = context.open(file.tiles[number]!);
    messages.set(number, message);
    const part = hyperRect(latents);
    const across = part.right - part.left;
    const count = (part.bottom - part.top) * across;
    const mode = message.part(new Uint16Array(1), REPEATS)[0]!;
    if (mode < 0 || mode > 3) throw corrupt(`a tile has the repeat mode ${mode}, legal: 0..3`);
    const repeats = new Int32Array(count);
    if (mode) {
      repeats.set(message.part(new Uint16Array(count - 1).fill(mode), REPEATS), 1);
      if (repeats.some((flag) => flag !== 0 && flag !== 1)) throw corrupt("a tile has a repeat that is neither 0 nor 1");
    }
    const sent = repeats.reduce((sum, flag) => sum + 1 - flag, 0);
    const indexes = new Uint16Array(sent * n);
    for (let i = 0; i < indexes.length; i++) indexes[i] = firstTable + (i % n);
    const symbols = message.part(indexes, bank);
    for (let i = 0, at = 0; i < count; i++) {
      const row = part.top + Math.floor(i / across);
      const column = part.left + (i % across);
      const to = z.at(row, column);
      if (repeats[i]) {
        const from = column > part.left ? to - n : z.at(row - 1, column);
        z.data.copyWithin(to, from, from + n);
        continue;
      }
      for (let k = 0; k < n; k++) z.data[to + k] = clip(symbols[at++]!, -128, 127);
    }
  }
  return { messages, z };
}

