/** Latents of image codec 1 and 2: two passes of a checkerboard. docs/spec/image.md and image2.md, sections 3 to 6. */

import type { Message } from "../bits/rans.js";
import { clip, clip16 } from "../intnet/program.js";
import { COLOR_REACH, correctBlocks, correctImage, correctPassB, stageOf } from "./colors.js";
import { NUM_SCALES } from "./model.js";
import { grown, neededRect, Plane, runOver, type Rect } from "./plane.js";
import { beginTiles, Layout, type Context } from "./tiles.js";

/** The latents of a rectangle of latents, at least. */
export function checkerboardLatents(context: Context, wanted: Rect): Plane {
  const { model, file, runner } = context;
  const layout = new Layout(file);
  const { rows, columns } = layout;
  const { level } = file.header;
  const { levels, latents, predicted } = model;
  const parameter = levels.parameters[level]!;
  const program = (name: string) => model.programs.get(name)!;
  const two = model.kind === "image codec 2";

  // From the end to the beginning: what each step needs of the one before.
  const partB = layout.whole(wanted);
  const needA = neededRect(program("prior_b"), grown(partB, 1, rows, columns), rows, columns);
  const partA = layout.whole(grown(needA, two ? COLOR_REACH : 0, rows, columns));
  const partF = neededRect(program("prior_a"), partA, rows, columns);
  const synthesis = program("hyper_synthesis");
  const partZ = neededRect(synthesis, partF, layout.hyperRows, layout.hyperColumns);
  const begun = beginTiles(context, layout, layout.whole(unhyper(partZ, rows, columns)), two ? levels.bands[level]! * model.hyper : 0);

  if (two) scaleHyper(begun.z, levels.hyperSteps.subarray(level * model.hyper, (level + 1) * model.hyper));
  const f = runOver(
    runner, synthesis, new Map([["z", begun.z]]), parameter, partF, 4, layout.hyperRows, layout.hyperColumns,
  ).get("f")!;
  context.progress?.(0.1);

  const priorA = runOver(runner, program("prior_a"), new Map([["f", f]]), parameter, partA, 1, rows, columns);
  const coder = new Coder(context, layout, begun.messages);
  const y = Plane.empty(partA, latents);
  const symbols = coder.pass(partA, 0, priorA.get("theta")!);
  dequantize(context, y, priorA.get("mean")!, symbols, 0);
  if (predicted) {
    const colors = { y, mean: priorA.get("mean")!, symbols, predicted, step: stepOf(context), layout };
    if (two) correctImage(colors);
    else correctBlocks(colors);
  }
  context.progress?.(0.2);

  const inputs = new Map([["f", f], ["y", y]]);
  const priorB = runOver(runner, program("prior_b"), inputs, parameter, partB, 1, rows, columns);
  const second = coder.pass(partB, 1, priorB.get("theta")!);
  const mean = priorB.get("mean")!;
  if (predicted) correctPassB(y, mean, predicted, two ? null : 16, layout);
  const out = new Plane(partB, { ...y.value, ...sizes(partB), data: y.cut(partB).data.slice() });
  dequantize(context, out, mean, second, 1);
  for (const [number] of layout.tiles(partB)) begun.messages.get(number)!.end();
  context.progress?.(0.4);
  return out;
}

const sizes = (rect: Rect) => ({ height: rect.bottom - rect.top, width: rect.right - rect.left });

/** The latents under a rectangle of hyper-latents. */
const unhyper = (r: Rect, rows: number, columns: number): Rect => ({
  top: 4 * r.top, left: 4 * r.left, bottom: Math.min(rows, 4 * r.bottom), right: Math.min(columns, 4 * r.right),
});

function scaleHyper(z: Plane, steps: Int32Array): void {
  for (let i = 0, n = 0; i < z.data.length; i++) {
    z.data[i] = clip16(z.data[i]! * steps[n]!);
    if (++n === steps.length) n = 0;
  }
}

/** The quantization step of each channel at the file's level. */
function stepOf({ model, file }: Context): (channel: number) => number {
  const { level } = file.header;
  const { steps } = model.levels;
  if (model.kind === "image codec 2") return (k) => steps[level * model.latents + k]!;
  return () => steps[level]!;
}

/** 0 or 1: in which pass a latent is. Colors of one position are all in the same. */
export const passOf = (row: number, column: number, channel: number, predicted: number) =>
  (row + column + (channel < predicted ? 0 : channel)) & 1;

/** y = clip16(mean + symbol * step) at the latents of a pass. All planes cover y's rectangle. */
function dequantize(context: Context, y: Plane, mean: Plane, symbols: Int32Array, pass: number): void {
  const { latents, predicted } = context.model;
  const step = Int32Array.from({ length: latents }, (_, k) => stepOf(context)(k));
  for (let row = y.rect.top; row < y.rect.bottom; row++) {
    for (let column = y.rect.left; column < y.rect.right; column++) {
      const at = y.at(row, column);
      for (let k = 0; k < latents; k++) {
        if (passOf(row, column, k, predicted) !== pass) continue;
        y.data[at + k] = clip16(mean.data[at + k]! + symbols[at + k]! * step[k]!);
      }
    }
  }
}

/** Reads the symbols of a pass from the tiles' messages. */
class Coder {
  constructor(
    private readonly context: Context,
    private readonly layout: Layout,
    private readonly messages: Map<number, Message>,
  ) {}

  /** Symbols of a rectangle of whole tiles, as theta is laid out; 0 where none is sent. */
  pass(rect: Rect, pass: number, theta: Plane): Int32Array {
    const { model, file } = this.context;
    const { latents, predicted, skip, levels, stages } = model;
    const two = model.kind === "image codec 2";
    const { level } = file.header;
    const out = new Int32Array(theta.data.length);
    const shift = Int32Array.from({ length: latents }, (_, k) => 2 - levels.shifts[two ? level * latents + k : level]!);
    for (const [number, tile] of this.layout.tiles(rect)) {
      const most = (tile.bottom - tile.top) * (tile.right - tile.left) * latents;
      const places = new Int32Array(most);
      const indexes = new Uint16Array(most);
      let count = 0;
      for (let row = tile.top; row < tile.bottom; row++) {
        for (let column = tile.left; column < tile.right; column++) {
          const at = theta.at(row, column);
          const stage = two && pass === 0 ? stageOf(row, column) : -1;
          for (let k = 0; k < latents; k++) {
            if (passOf(row, column, k, predicted) !== pass) continue;
            const color = two && k < predicted;
            let t = theta.data[at + k]! + shift[k]!;
            if (color && stage >= 0) t += stages[stage * predicted + k]!;
            let index = clip(t >> 2, 0, NUM_SCALES - 1);
            if (index < skip) {
              if (!color) continue;
              index = skip;
            }
            places[count] = at + k;
            indexes[count++] = index;
          }
        }
      }
      const symbols = this.messages.get(number)!.part(indexes.slice(0, count), model.tablesY);
      for (let i = 0; i < count; i++) out[places[i]!] = symbols[i]!;
    }
    return out;
  }
}

