/** Latents of the kind hyperprior: one pass, a table from the hyper-latents or by channel. docs/spec/hyperprior.md. */

import type { Message } from "../bits/rans.js";
import { clip, clip16 } from "../intnet/program.js";
import { neededRect, Plane, runOver, type Rect } from "./plane.js";
import { beginTiles, Layout, type Context } from "./tiles.js";

/** The latents of a rectangle of latents, at least. */
export function hyperpriorLatents(context: Context, wanted: Rect): Plane {
  const { model, file, runner } = context;
  const layout = new Layout(file);
  const { rows, columns } = layout;
  const { level } = file.header;
  const { levels, latents, tablesY } = model;
  const part = layout.whole(wanted);
  let theta: Plane | null = null;
  let messages: Map<number, Message> | null = null;
  if (model.tablesZ !== null) {
    const synthesis = model.programs.get("hyper_synthesis")!;
    const z = neededRect(synthesis, part, layout.hyperRows, layout.hyperColumns);
    const covered: Rect = { top: 4 * z.top, left: 4 * z.left, bottom: Math.min(rows, 4 * z.bottom), right: Math.min(columns, 4 * z.right) };
    const begun = beginTiles(context, layout, layout.whole(covered), 0);
    messages = begun.messages;
    const parameter = levels.parameters[level]!;
    theta = runOver(
      runner, synthesis, new Map([["z", begun.z]]), parameter, part, 4, layout.hyperRows, layout.hyperColumns,
    ).get("theta")!;
  }
  const y = Plane.empty(part, latents);
  const step = levels.steps[level]!;
  for (const [number, tile] of layout.tiles(part)) {
    const message = messages === null ? context.open(file.tiles[number]!) : messages.get(number)!;
    const row = (tile.right - tile.left) * latents;
    const indexes = new Uint16Array((tile.bottom - tile.top) * row);
    for (let r = tile.top; r < tile.bottom; r++) {
      const from = y.at(r, tile.left);
      const to = (r - tile.top) * row;
      for (let i = 0; i < row; i++) {
        indexes[to + i] = theta === null ? i % latents : clip(theta.data[from + i]! - levels.shifts[level]!, 0, tablesY.count - 1);
      }
    }
    const symbols = message.part(indexes, tablesY);
    message.end();
    for (let r = tile.top; r < tile.bottom; r++) {
      const to = y.at(r, tile.left);
      const from = (r - tile.top) * row;
      for (let i = 0; i < row; i++) y.data[to + i] = clip16(symbols[from + i]! * step);
    }
  }
  context.progress?.(0.2);
  return y;
}
