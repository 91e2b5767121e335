/** From the bytes of an image file and a model to pixels. docs/spec/image.md, section 6. */

import type { Message } from "../bits/rans.js";
import { crc32 } from "../container/crc32.js";
import type { Header, ImageFile } from "../container/image_file.js";
import { inflate } from "../container/inflate.js";
import { corrupt } from "../errors.js";
import type { Runner, Value } from "../intnet/ops.js";
import { checkerboardLatents } from "./checkerboard.js";
import { hyperpriorLatents } from "./hyperprior.js";
import type { Model } from "./model.js";
import { vectorLatents } from "./vector.js";
import { covers, neededRect, rectOf, runOver, squares, type Plane, type Rect } from "./plane.js";
import { columns, rows } from "../container/image_file.js";

/** A part of an image, in pixels. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What runs programs and reads messages for one model. */
export interface Engine {
  runner: Runner;
  open(payload: Uint8Array): Message;
}

const LATENT_PX = 16;
const LATENTS = {
  "image codec 1": checkerboardLatents, "image codec 2": checkerboardLatents, hyperprior: hyperpriorLatents, vector: vectorLatents,
};

/** Latents of a file that were decoded before: a region whose tiles are here needs its synthesis alone. */
export interface Kept {
  latents: Plane | null;
}

/** Samples of an image, [height, width, channels of the mode], of a region or of the whole. */
export function decodePixels(
  file: ImageFile, model: Model, engine: Engine, region?: Region, progress?: (share: number) => void, kept?: Kept,
): Uint8Array<ArrayBuffer> {
  const { header } = file;
  if (header.level >= model.levels.count) {
    throw corrupt(`the file has the level ${header.level}, its model has ${model.levels.count}`);
  }
  if (2 ** header.latentLog2 !== LATENT_PX) {
    throw corrupt(`the file has latents of ${2 ** header.latentLog2} pixels, its model of ${LATENT_PX}`);
  }
  if (header.profile !== "exact") throw corrupt(`the file has the profile ${header.profile}, its model is exact`);
  const whole = { x: 0, y: 0, width: header.width, height: header.height };
  const part = region ?? whole;
  const wanted = rectOf(part.y, part.x, part.y + part.height, part.x + part.width);
  const synthesis = model.programs.get("synthesis")!;
  const gridRows = rows(header);
  const gridColumns = columns(header);
  const needed = neededRect(synthesis, wanted, gridRows, gridColumns);
  const context = { file, model, runner: engine.runner, open: engine.open, ...(progress && { progress }) };
  const y = kept?.latents && covers(kept.latents.rect, needed) ? kept.latents : LATENTS[model.kind](context, needed);
  if (kept) kept.latents = y;
  const pixels = new Uint8Array(part.width * part.height * channelsOf(header));
  const blocks = squares(wanted, 1024);
  const total = (blocks.bottom - blocks.top) * (blocks.right - blocks.left);
  let count = 0;
  const parameter = model.levels.parameters[header.level]!;
  runOver(
    engine.runner, synthesis, new Map([["y", y]]), parameter, wanted, LATENT_PX, gridRows, gridColumns,
    (_, value, from, to) => {
      color(pixels, header, wanted, value, from, to);
      progress?.(0.4 + (0.6 * ++count) / total);
    },
  );
  const alpha = file.chunks.get("ALPH");
  if (alpha !== undefined) putAlpha(pixels, header, wanted, alphaPlane(alpha, header.width, header.height));
  const isWhole = part.x === 0 && part.y === 0 && part.width === header.width && part.height === header.height;
  if (isWhole && crc32(pixels) !== header.pixelCrc) {
    throw corrupt("the picture is not what its file says: the checksum of its pixels is wrong");
  }
  return pixels;
}

export function channelsOf(header: Header): number {
  return { L: 1, LA: 2, RGB: 3, RGBA: 4 }[header.mode];
}

/** Write what `synthesis` gave for `from` to the pixels of `to`. */
function color(pixels: Uint8Array, header: Header, wanted: Rect, value: Value, from: Rect, to: Rect): void {
  const channels = channelsOf(header);
  const colors = channels > 2;
  const gray = !colors || header.gray;
  const across = wanted.right - wanted.left;
  for (let y = to.top; y < to.bottom; y++) {
    let at = ((y - from.top) * value.width + to.left - from.left) * 3;
    let out = ((y - wanted.top) * across + to.left - wanted.left) * channels;
    for (let x = to.left; x < to.right; x++, at += 3, out += channels) {
      let r = value.data[at]! + 128;
      let g = value.data[at + 1]! + 128;
      let b = value.data[at + 2]! + 128;
      if (gray) r = g = b = Math.floor((r + g + b + 1) / 3);
      pixels[out] = r;
      if (colors) {
        pixels[out + 1] = g;
        pixels[out + 2] = b;
      }
    }
  }
}

/** The alpha plane of a whole image. */
function alphaPlane(chunk: Uint8Array, width: number, height: number): Uint8Array {
  if (chunk.length < 1) throw corrupt("the alpha chunk is empty");
  const filter = chunk[0]!;
  if (filter > 3) throw corrupt(`the alpha chunk has the filter ${filter}, legal: 0..3`);
  const plane = inflate(chunk.subarray(1), width * height, "the alpha plane");
  if (filter & 1) {
    for (let y = 0; y < height; y++) {
      for (let i = y * width + 1; i < (y + 1) * width; i++) plane[i] = plane[i]! + plane[i - 1]!;
    }
  }
  if (filter & 2) {
    for (let i = width; i < plane.length; i++) plane[i] = plane[i]! + plane[i - width]!;
  }
  return plane;
}

function putAlpha(pixels: Uint8Array, header: Header, wanted: Rect, alpha: Uint8Array): void {
  const channels = channelsOf(header);
  let out = channels - 1;
  for (let y = wanted.top; y < wanted.bottom; y++) {
    for (let x = wanted.left; x < wanted.right; x++, out += channels) pixels[out] = alpha[y * header.width + x]!;
  }
}
