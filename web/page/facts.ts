/** Metadata and numbers as people read them. What EXIF holds is of unknown origin: nothing in it is trusted. */

import type { Metadata } from "../src/index.js";

const TAGS: Record<number, string> = {
  0x010e: "Description", 0x010f: "Make", 0x0110: "Camera", 0x0112: "Orientation", 0x0131: "Software", 0x0132: "Date",
  0x013b: "Artist", 0x8298: "Copyright",
};

/** A few fields of the first directory of EXIF. */
function exifFacts(exif: Uint8Array): [string, string][] {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const facts: [string, string][] = [];
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    const count = Math.min(view.getUint16(start, little), 200);
    for (let i = 0; i < count; i++) {
      const at = start + 2 + 12 * i;
      const name = TAGS[view.getUint16(at, little)];
      if (name === undefined) continue;
      const type = view.getUint16(at + 2, little);
      if (name === "Orientation" && type === 3) {
        const turn = view.getUint16(at + 8, little);
        if (turn !== 1) facts.push([name, `${turn} (not applied)`]);
      } else if (type === 2) {
        const size = view.getUint32(at + 4, little);
        const from = size > 4 ? view.getUint32(at + 8, little) : at + 8;
        const bytes = exif.subarray(from, from + Math.min(size, 300));
        const value = new TextDecoder().decode(bytes).replace(/\0[^]*$/, "").trim();
        if (value) facts.push([name, value]);
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it ends early: what was found counts
  }
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
