/** What the page and its worker say to each other. Every request has one answer, with its number. */

import type { Header, Mode, Verdict } from "../src/index.js";
import type { Region } from "../src/codec/decode.js";

export type Request =
  | { type: "model"; bytes: Uint8Array }
  | { type: "peek"; bytes: Uint8Array }
  | { type: "decode"; bytes: Uint8Array; region?: Region }
  | { type: "png"; bytes: Uint8Array };

/** What is known of a file before it is decoded. */
export interface Begun {
  header: Header;
  /** 1..8, of EXIF; 1 is as the pixels are. */
  orientation: number;
}

/** A decoded part of a picture, ready for a canvas. */
export interface Shown {
  region: Region;
  rgba: Uint8ClampedArray<ArrayBuffer>;
  header: Header;
  mode: Mode;
  modelName: string;
  /** Facts of the metadata, as [name, text]. */
  metadata: [string, string][];
  /** The same samples as a PNG with the file's colors, where they are not sRGB. */
  colored: Uint8Array<ArrayBuffer> | null;
  verified: boolean;
  fast: boolean;
  milliseconds: number;
}

export interface Failure {
  verdict: Verdict | "memory" | "bug" | "stopped";
  message: string;
}

export type Answer =
  | { number: number; progress: number }
  | { number: number; failure: Failure }
  | { number: number; result: unknown };
