/** Latents of the kind vector: symbols look up numbers in a codebook. docs/spec/vector.md. */

import { corrupt } from "../errors.js";
import { Plane, type Rect } from "./plane.js";
import { Layout, type Context } from "./tiles.js";

/** The latents of a rectangle of latents, at least. */
export function vectorLatents({ file, model, open, progress }: Context, wanted: Rect): Plane {
  const layout = new Layout(file);
  const part = layout.whole(wanted);
  const { count, centers, numbers, codebook, shared, order } = model.slots!;
  const y = Plane.empty(part, model.latents);
  for (const [number, tile] of layout.tiles(part)) {
    const positions = (tile.bottom - tile.top) * (tile.right - tile.left);
    const indexes = new Uint16Array(positions * count);
    for (let i = 0; i < indexes.length; i++) indexes[i] = i % count;
    const message = open(file.tiles[number]!);
    const symbols = message.part(indexes, model.tablesY);
    message.end();
    let i = 0;
    for (let row = tile.top; row < tile.bottom; row++) {
      for (let column = tile.left; column < tile.right; column++) {
        let to = y.at(row, column);
        for (let slot = 0; slot < count; slot++, to += numbers) {
          const symbol = symbols[i++]!;
          if (symbol < 0 || symbol >= centers) throw corrupt(`a tile has the symbol ${symbol}, legal: 0..${centers - 1}`);
          const center = (shared ? 0 : slot * centers) + order[slot * centers + symbol]!;
          for (let k = 0; k < numbers; k++) y.data[to + k] = codebook[center * numbers + k]!;
        }
      }
    }
  }
  progress?.(0.2);
  return y;
}
