/** An image file: header, payloads of its tiles, chunks. docs/spec/container.md, "Image file". */

import { corrupt, unsupported } from "../errors.js";
import { Cursor, hex, readMagic } from "./cursor.js";
import { crc32 } from "./crc32.js";

export type Mode = "L" | "LA" | "RGB" | "RGBA";
export type Profile = "exact" | "prior" | "float";

export interface Header {
  /** 32 hexadecimal digits: which model decodes the payload. */
  modelId: string;
  mode: Mode;
  /** Gray is stored once and given to red, green and blue. */
  gray: boolean;
  profile: Profile;
  level: number;
  width: number;
  height: number;
  /** CRC-32 of the decoded samples. */
  pixelCrc: number;
  /** Tiles are squares of 2^tileLog2 latents. */
  tileLog2: number;
  /** log2 of the pixels on a latent's side. */
  latentLog2: number;
}

export interface ImageFile {
  header: Header;
  tiles: Uint8Array[];
  chunks: Map<string, Uint8Array>;
}

/** Most pixels of an image, unless the caller says otherwise. */
export const MAX_PIXELS = 2 ** 28;

const MODES: (Mode | undefined)[] = [undefined, "L", "LA", "RGB", "RGBA"];
const PROFILES: Profile[] = ["exact", "prior", "float"];
const TILE_MODES = ["lossy", "raw", "palette", "exact"];
const MIN_TILE_BYTES = 5;
const METADATA = 2 ** 24;
const CHUNK_LIMITS: Record<string, number> = {
  ALPH: 2 ** 29,
  cicp: METADATA,
  exif: METADATA,
  gama: METADATA,
  iccp: METADATA,
  modl: 2 ** 28 + 2 ** 20,
  xmpd: METADATA,
};

const lacks = (what: string) => unsupported(`this file has ${what}, which this version does not decode`);

export const rows = (header: Header) => Math.ceil(header.height / 2 ** header.latentLog2);
export const columns = (header: Header) => Math.ceil(header.width / 2 ** header.latentLog2);

export function numTiles(header: Header): number {
  const side = 2 ** header.tileLog2;
  return Math.ceil(rows(header) / side) * Math.ceil(columns(header) / side);
}

interface Beyond {
  tileModes: boolean;
  preview: number;
}

function readHeader(cursor: Cursor): [Header, Beyond] {
  readMagic(cursor, 0xc9, "an Intact image file");
  const modelId = hex(cursor.take(16, "the model id"));
  const [samples, level, tiling] = cursor.take(3, "mode, level and tiling") as unknown as [number, number, number];
  const pixelCrc = cursor.u32("the checksum of the pixels");
  let flags = 0;
  if (samples & 128) {
    flags = cursor.u8("the flags");
    if (flags === 0) throw corrupt("the byte of flags is 0: without flags it must not be there");
    if (flags & 0xe0) throw lacks(`header flags 0x${(flags & 0xe0).toString(16)}`);
    if ((flags & 6) === 6) throw lacks("profile 3");
  }
  const width = cursor.varint("the width", 1, 2 ** 32 - 1);
  const height = cursor.varint("the height", 1, 2 ** 32 - 1);
  const preview = flags & 16 ? cursor.varint("the length of the preview", 1, 2 ** 24) : 0;
  const channels = (samples >> 4) & 7;
  const mode = MODES[channels];
  if (mode === undefined) throw lacks(`${channels} channels`);
  const depth = (samples & 15) + 1;
  if (depth !== 8) throw lacks(`${depth} bit${depth > 1 ? "s" : ""} per sample`);
  const tileLog2 = tiling & 15;
  if (tileLog2 < 4 || tileLog2 > 6) throw lacks(`a tiling field of ${tileLog2}`);
  const latentLog2 = ((tiling >> 4) + 4) % 16;
  if (latentLog2 > 6) throw lacks(`latents of ${2 ** latentLog2} x ${2 ** latentLog2} pixels`);
  const gray = (flags & 1) === 1;
  if (gray && channels < 3) throw corrupt(`a picture of mode ${mode} is said to be gray stored as RGB`);
  const profile = PROFILES[(flags >> 1) & 3]!;
  const header = { modelId, mode, gray, profile, level, width, height, pixelCrc, tileLog2, latentLog2 };
  return [header, { tileModes: (flags & 8) !== 0, preview }];
}

/** What the header says; no checksum is tested, and nothing is made that is as large as the image. */
export function peek(bytes: Uint8Array): Header {
  return readHeader(new Cursor(bytes, "the image file"))[0];
}

/**
 * Refuse an image that is too large. Pixels of whole latents count too, with a 16th and 65,536 to spare.
 *
 * @param weight as how many a pixel counts, for what its model takes.
 */
export function checkPixels(header: Header, maxPixels: number, weight = 1): void {
  if (!(maxPixels >= 1)) throw new RangeError(`maxPixels is ${String(maxPixels)}, legal: numbers from 1`);
  const what = `a picture of ${header.width} x ${header.height} pixels`;
  if (header.width * header.height > maxPixels) {
    throw unsupported(`${what} exceeds the limit of ${maxPixels} pixels`);
  }
  const padded = rows(header) * columns(header) * 4 ** header.latentLog2 * weight;
  if ((padded - 65536) * 16 > maxPixels * 17) {
    throw unsupported(`${what} counts as ${Math.ceil(padded)}: that exceeds the limit of ${maxPixels} pixels`);
  }
}

/** Read and check a whole image file. */
export function readImageFile(bytes: Uint8Array, maxPixels = MAX_PIXELS): ImageFile {
  const cursor = new Cursor(bytes, "the image file");
  const [header, beyond] = readHeader(cursor);
  checkPixels(header, maxPixels);
  const count = numTiles(header);
  const each = beyond.tileModes ? 3 : 1 + MIN_TILE_BYTES;
  if (count * each > cursor.left) {
    throw corrupt(`the image file ends early: ${count} tiles take ${count * each} bytes, ${cursor.left} are left`);
  }
  const lengths: number[] = [];
  const found = new Set<number>();
  let total = beyond.preview;
  for (let i = 0; i < count; i++) {
    const mode = beyond.tileModes ? cursor.u8("the mode of a tile") : 0;
    found.add(mode);
    lengths.push(cursor.varint("the length of a tile", mode ? 1 : MIN_TILE_BYTES, 2 ** 32 - 1));
    total += lengths[i]!;
  }
  const payload = new Cursor(cursor.take(total, "the payload"), "the payload");
  const body = bytes.subarray(0, cursor.at);
  if (cursor.u32("the checksum") !== crc32(body)) {
    throw corrupt("the file is damaged: the checksum of its header and payload is wrong");
  }
  if (beyond.tileModes || beyond.preview) throw beyondThisVersion(beyond, found);
  const tiles = lengths.map((length) => payload.take(length, "a tile"));
  const chunks = readChunks(cursor);
  cursor.end();
  if (chunks.has("ALPH") !== header.mode.endsWith("A")) {
    throw corrupt(`a picture of mode ${header.mode} ${chunks.has("ALPH") ? "has" : "lacks"} an alpha chunk`);
  }
  return { header, tiles, chunks };
}

function beyondThisVersion(beyond: Beyond, found: Set<number>) {
  found.delete(0);
  if (beyond.tileModes && found.size === 0) {
    return corrupt("tiles have modes, but all are lossy: then there must be none");
  }
  const named = [...found].sort((a, b) => a - b).map((mode) => TILE_MODES[mode] ?? `mode ${mode}`);
  const parts = beyond.preview ? [`a preview of ${beyond.preview} bytes`] : [];
  if (named.length) parts.push(`${named.join(" and ")} tiles`);
  return lacks(parts.join(" and "));
}

function readChunks(cursor: Cursor): Map<string, Uint8Array> {
  const chunks = new Map<string, Uint8Array>();
  let before = "";
  for (;;) {
    const start = cursor.at;
    if (cursor.u8("the end mark or a chunk") === 0) return chunks;
    cursor.at = start;
    const type = String.fromCharCode(...cursor.take(4, "the type of a chunk"));
    if (!/^[A-Za-z]{4}$/.test(type)) throw corrupt("the type of a chunk is not four letters");
    if (type <= before) throw corrupt(`chunk ${type} comes after ${before}: types must ascend`);
    if (chunks.size === 64) throw corrupt("there are more than 64 chunks");
    before = type;
    const limit = Object.hasOwn(CHUNK_LIMITS, type) ? CHUNK_LIMITS[type]! : METADATA;
    const size = cursor.varint(`the length of chunk ${type}`, 0, limit);
    const data = cursor.take(size, `chunk ${type}`);
    const crc = crc32(cursor.bytes.subarray(start, cursor.at));
    if (cursor.u32(`the checksum of chunk ${type}`) !== crc) {
      throw corrupt(`the file is damaged: the checksum of chunk ${type} is wrong`);
    }
    if (type[0]! < "a" && type !== "ALPH") {
      throw unsupported(`this file has a chunk ${type}, which one must know to decode it, and this version does not`);
    }
    if (type === "cicp" && !(size === 4 && data[2] === 0 && data[3]! <= 1)) {
      throw corrupt("the chunk cicp does not hold four code points: primaries, transfer, 0, and 0 or 1");
    }
    if (type === "gama" && !(size === 4 && data.some((byte) => byte))) {
      throw corrupt("the chunk gama does not hold four bytes of a number above 0");
    }
    chunks.set(type, data);
  }
}
