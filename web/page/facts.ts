/** Metadata and numbers as people read them. What EXIF holds is of unknown origin: nothing in it is trusted. */

import type { Metadata } from "../src/index.js";

const TAGS: Record<number, string> = {
  0x010e: "Description", 0x010f: "Make", 0x0110: "Camera", 0x0112: "Orientation", 0x0131: "Software", 0x0132: "Date",
  0x013b: "Artist", 0x8298: "Copyright",
};

/** Where the fields of EXIF's first directory that have a name in TAGS are; it may end early. */
function* entries(view: DataView): Generator<[name: string, type: number, at: number, little: boolean]> {
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    const count = Math.min(view.getUint16(start, little), 200);
    for (let i = 0; i < count; i++) {
      const at = start + 2 + 12 * i;
      const name = TAGS[view.getUint16(at, little)];
      if (name !== undefined && at + 12 <= view.byteLength) yield [name, view.getUint16(at + 2, little), at, little];
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // what was found counts
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** 1..8; 1 where EXIF does not say. */
export function orientationOf(exif: Uint8Array): number {
  const view = viewOf(exif);
  for (const [name, type, at, little] of entries(view)) {
    if (name !== "Orientation" || type !== 3) continue;
    const found = view.getUint16(at + 8, little);
    return found >= 1 && found <= 8 ? found : 1;
  }
  return 1;
}

/** A few fields of the first directory of EXIF. */
function exifFacts(exif: Uint8Array): [string, string][] {
  const view = viewOf(exif);
  const facts: [string, string][] = [];
  for (const [name, type, at, little] of entries(view)) {
    if (type !== 2) continue;
    const size = view.getUint32(at + 4, little);
    const from = size > 4 ? view.getUint32(at + 8, little) : at + 8;
    const bytes = exif.subarray(from, from + Math.min(size, 300));
    const value = new TextDecoder().decode(bytes).replace(/\0[^]*$/, "").trim();
    if (value) facts.push([name, value]);
  }
  const orientation = orientationOf(exif);
  if (orientation !== 1) facts.push(["Orientation", `${orientation}, shown so; the file's pixels are not turned`]);
  return facts;
}

function profileName(profile: Uint8Array): string {
  const latin = new TextDecoder("latin1").decode(profile.subarray(0, 4096));
  const at = latin.indexOf("desc", 128 + 4 + 12); // behind the table of tags, mostly
  const found = at < 0 ? "" : latin.slice(at + 12, at + 92).replace(/\0/g, "").match(/[\x20-\x7e]{4,60}/)?.[0] ?? "";
  return found.replace(/^(mluc|enUS)+/, "").trim();
}

export function metadataFacts(metadata: Metadata): [string, string][] {
  const facts: [string, string][] = [];
  if (metadata.cicp) facts.push(["Colors", `code points ${[...metadata.cicp].join(", ")} (H.273)`]);
  if (metadata.iccProfile) {
    const name = profileName(metadata.iccProfile);
    facts.push(["Color profile", `${name ? `${name}, ` : ""}${bytesText(metadata.iccProfile.length)}`]);
  }
  if (metadata.gamma !== undefined) facts.push(["Gamma", String(metadata.gamma / 100000)]);
  if (metadata.exif) facts.push(["EXIF", bytesText(metadata.exif.length)], ...exifFacts(metadata.exif));
  if (metadata.xmp) facts.push(["XMP", bytesText(metadata.xmp.length)]);
  return facts;
}

export function bytesText(count: number): string {
  if (count < 1000) return `${count} bytes`;
  return count < 1e6 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}
