/** The decoder as callers see it: models by id, files to pixels. */

import { PlainMessage } from "./bits/rans.js";
import { checkPixels, MAX_PIXELS, readImageFile, type Header, type ImageFile, type Mode } from "./container/image_file.js";
import { peekModelId, type Faster } from "./container/model_file.js";
import { decodePixels, type Engine, type Kept, type Region } from "./codec/decode.js";
import { readModel, type Model } from "./codec/model.js";
import { corrupt, IntactError } from "./errors.js";
import { embeddedWeight } from "./intnet/cost.js";
import { plainRunner } from "./intnet/ops.js";
import type { Program } from "./intnet/program.js";
import { NativeEngine } from "./fast/engine.js";
import { fault } from "./fast/prove.js";
import { nativeReader } from "./fast/unpack.js";
import kernels from "../wasm/kernels.wasm";

/** What a file carries beside its pixels; absent where it carries none. */
export interface Metadata {
  exif?: Uint8Array;
  iccProfile?: Uint8Array;
  xmp?: Uint8Array;
  /** Four code points of ITU-T H.273. */
  cicp?: Uint8Array;
  /** 100,000 times the exponent. */
  gamma?: number;
}

export interface Decoded {
  /** Of `pixels`: those of the region, or of the whole picture. */
  width: number;
  height: number;
  /** Samples of 8 bits, row by row, channels interleaved. */
  pixels: Uint8Array<ArrayBuffer>;
  /** L has one channel, LA two, RGB three, RGBA four. */
  mode: Mode;
  header: Header;
  modelName: string;
  metadata: Metadata;
  /** Whether the checksum of the pixels was tested, and met: it covers whole pictures alone. */
  verified: boolean;
}

export interface DecodeOptions {
  /** Only these pixels, equal to the same cut of the whole. */
  region?: Region;
  /** Larger pictures are refused. */
  maxPixels?: number;
  /** Whether a model may be taken from the file that names it. */
  embeddedModels?: boolean;
  progress?: (share: number) => void;
}

const PLAIN: Engine = { runner: plainRunner, open: (payload) => new PlainMessage(payload) };

/** Pixels up to which the definitions are asked where the kernels come to other pixels than the file says. */
const SECOND_OPINION_PIXELS = 2 ** 19;

/** Decodes files whose models it was given, or that carry one. */
export class Decoder {
  private readonly models = new Map<string, Model>();
  private readonly engines = new WeakMap<Model, NativeEngine>();
  private faster: Faster = {};
  /** Of the last file of which a region was decoded. */
  private last: ({ bytes: Uint8Array } & Kept) | null = null;

  private module: WebAssembly.Module | null;

  /**
   * @param module the kernels, a WebAssembly.Module (a name that not all users' types have); without them the definitions
   *   in plain TypeScript compute everything.
   */
  constructor(module: object | null = null) {
    this.module = module as WebAssembly.Module | null;
    if (this.module !== null) this.faster = nativeReader(this.module);
  }

  /** A decoder with the WebAssembly kernels, if they run here and prove right; else without. */
  static async create(): Promise<Decoder> {
    try {
      const module = await WebAssembly.compile(kernels);
      return new Decoder(fault(module) === null ? module : null);
    } catch {
      return new Decoder();
    }
  }

  /** Whether the WebAssembly kernels are in use. */
  get isFast(): boolean {
    return this.module !== null;
  }

  /** Read a model file and keep it. */
  addModel(bytes: Uint8Array): Model {
    const model = readModel(bytes, this.faster);
    this.models.set(model.id, model);
    if (this.module !== null) this.engineOf(model, this.module); // now, so that the first picture need not wait
    return model;
  }

  hasModel(id: string): boolean {
    return this.models.has(id);
  }

  /** Decode a whole image file. */
  decode(bytes: Uint8Array, options: DecodeOptions = {}): Decoded {
    checkOptions(options);
    const maxPixels = options.maxPixels ?? MAX_PIXELS;
    const file = readImageFile(bytes, maxPixels);
    const { header } = file;
    if (header.profile !== "exact") {
      throw new IntactError(
        "inexact",
        `this file is of the profile ${header.profile}: its picture is computed in floating point and differs from machine to machine, so this decoder does not show it`,
      );
    }
    checkRegion(options.region, header);
    const model = this.modelOf(file, maxPixels, options.embeddedModels ?? true);
    if (options.region === undefined || this.last === null || !sameBytes(this.last.bytes, bytes)) {
      this.last = options.region === undefined ? null : { bytes: new Uint8Array(bytes), latents: null };
    }
    const pixels = this.pixelsOf(file, model, options);
    const { width, height } = options.region ?? header;
    return {
      width, height, pixels, header,
      mode: header.mode,
      modelName: model.name,
      metadata: metadataOf(file),
      verified: width === header.width && height === header.height,
    };
  }

  private modelOf(file: ImageFile, maxPixels: number, embedded: boolean): Model {
    const { modelId } = file.header;
    const known = this.models.get(modelId);
    if (known !== undefined) return known;
    const chunk = file.chunks.get("modl");
    if (chunk === undefined || !embedded) {
      const carried = chunk === undefined ? "" : ", and the one in the file must not be used";
      throw new IntactError("model-missing", `the model ${modelId} of this file is not here${carried}`, modelId);
    }
    const model = readModel(chunk, this.faster);
    if (model.id !== modelId) throw corrupt(`the model in the file is ${model.id}, not ${modelId}`);
    const programs = model.roles.map(({ name, inputs }): [string, Program, number] => [name, model.programs.get(name)!, inputs[0]!.px]);
    checkPixels(file.header, maxPixels, embeddedWeight(programs, model.latents));
    return model;
  }

  /** By the kernels; where the file and they disagree, the definitions decide, and wrong kernels go. */
  private pixelsOf(file: ImageFile, model: Model, options: DecodeOptions): Uint8Array<ArrayBuffer> {
    const { region } = options;
    let thrown = false; // by the caller's function, which says nothing of the kernels
    const progress = options.progress && ((share: number) => {
      thrown = true;
      options.progress!(share);
      thrown = false;
    });
    if (this.module === null) return decodePixels(file, model, PLAIN, region, progress);
    try {
      return decodePixels(file, model, this.engineOf(model, this.module), region, progress, this.last ?? undefined);
    } catch (error) {
      this.last = null;
      const { width, height } = region ?? file.header;
      if (thrown || error instanceof RangeError || width * height > SECOND_OPINION_PIXELS) throw error;
      const pixels = decodePixels(file, model, PLAIN, region, progress);
      this.module = null; // the kernels were wrong: the file is sound
      this.faster = {};
      return pixels;
    }
  }

  private engineOf(model: Model, module: WebAssembly.Module): NativeEngine {
    let engine = this.engines.get(model);
    if (engine === undefined) {
      engine = new NativeEngine(module, model);
      this.engines.set(model, engine);
    }
    engine.begin();
    return engine;
  }
}

let shared: Promise<Decoder> | undefined;

/**
 * Decode a file with the models given now or before, or with the one that it carries.
 *
 * @param options.models model files (`.intactm`); each is read once.
 */
export async function decode(
  bytes: Uint8Array, options: DecodeOptions & { models?: Iterable<Uint8Array> } = {},
): Promise<Decoded> {
  checkOptions(options);
  shared ??= Decoder.create();
  const decoder = await shared;
  for (const model of options.models ?? []) {
    if (!decoder.hasModel(peekModelId(model))) decoder.addModel(model);
  }
  return decoder.decode(bytes, options);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Callers in JavaScript give what they like. */
function checkOptions(options: unknown): void {
  if (typeof options !== "object" || options === null) throw new TypeError(`the options must be given as an object, not as ${String(options)}`);
}

function checkRegion(region: Region | undefined, header: Header): void {
  if (region === undefined) return;
  if (typeof region !== "object" || region === null) throw new TypeError(`the region must be given as { x, y, width, height }, not as ${String(region)}`);
  const { x, y, width, height } = region;
  const whole = [x, y, width, height].every(Number.isInteger);
  if (!whole || x < 0 || y < 0 || width < 1 || height < 1 || x + width > header.width || y + height > header.height) {
    throw new RangeError(`the region ${width} x ${height} at (${x}, ${y}) is not in the picture of ${header.width} x ${header.height}`);
  }
}

function metadataOf(file: ImageFile): Metadata {
  const found: Metadata = {};
  const { chunks } = file;
  const exif = chunks.get("exif");
  const iccProfile = chunks.get("iccp");
  const xmp = chunks.get("xmpd");
  const cicp = chunks.get("cicp");
  const gama = chunks.get("gama");
  if (exif) found.exif = exif;
  if (iccProfile) found.iccProfile = iccProfile;
  if (xmp) found.xmp = xmp;
  if (cicp) found.cicp = cicp;
  if (gama) found.gamma = (gama[0]! | (gama[1]! << 8) | (gama[2]! << 16) | (gama[3]! << 24)) >>> 0;
  return found;
}
