/** Writes PNG files with exactly the decoded samples and what the file says of its colors. */

import type { Decoded } from "../src/index.js";
import { crc32 } from "../src/container/crc32.js";

const COLOR_TYPES = { L: 0, LA: 4, RGB: 2, RGBA: 6 };

async function deflate(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(type: string, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(size + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, size);
  out.set(new TextEncoder().encode(type), 4);
  let at = 8;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32(out.subarray(4, at)));
  return out;
}

const text = (value: string) => new TextEncoder().encode(value);

/** Each row by the difference to the one above: short, and quick to write. */
function filtered(pixels: Uint8Array, row: number, height: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array((row + 1) * height);
  for (let y = 0; y < height; y++) {
    const to = y * (row + 1);
    out[to] = 2;
    for (let i = 0; i < row; i++) out[to + 1 + i] = pixels[y * row + i]! - (y ? pixels[(y - 1) * row + i]! : 0);
  }
  return out;
}

/** A PNG of a decoded picture; with everything the file carries, or with its colors alone. */
export async function writePng(picture: Decoded, colorsAlone = false): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, pixels, mode, metadata } = picture;
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, COLOR_TYPES[mode], 0, 0, 0], 8);
  const parts = [new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head)];
  if (metadata.cicp) parts.push(chunk("cICP", metadata.cicp));
  if (metadata.gamma !== undefined) {
    const gamma = new Uint8Array(4);
    new DataView(gamma.buffer).setUint32(0, metadata.gamma);
    parts.push(chunk("gAMA", gamma));
  }
  if (metadata.iccProfile) {
    parts.push(chunk("iCCP", text("ICC profile\0\0"), await deflate(new Uint8Array(metadata.iccProfile))));
  }
  if (metadata.exif && !colorsAlone) parts.push(chunk("eXIf", metadata.exif));
  if (metadata.xmp && !colorsAlone) parts.push(chunk("iTXt", text("XML:com.adobe.xmp\0\0\0\0\0"), metadata.xmp));
  parts.push(chunk("IDAT", await deflate(filtered(pixels, pixels.length / height, height))), chunk("IEND"));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
