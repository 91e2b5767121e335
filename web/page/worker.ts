/** Decodes beside the page, so that it stays alive. Models are fetched from beside the page, by their id. */

import { Decoder, IntactError, peek, type Decoded } from "../src/index.js";
import { readImageFile } from "../src/container/image_file.js";
import { metadataFacts, orientationOf } from "./facts.js";
import { writePng } from "./png.js";
import type { Answer, Begun, Failure, Request, Shown } from "./protocol.js";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<{ number: number; request: Request }>) => void;
  postMessage(answer: Answer, transfer?: Transferable[]): void;
};

const ready = Decoder.create();

scope.onmessage = ({ data: { number, request } }) => {
  queue = queue.then(() => answer(number, request));
};
let queue: Promise<void> = Promise.resolve();

async function answer(number: number, request: Request): Promise<void> {
  try {
    const [result, transfer] = await act(number, request);
    scope.postMessage({ number, result }, transfer);
  } catch (error) {
    scope.postMessage({ number, failure: failureOf(error) });
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof IntactError) return { verdict: error.verdict, message: sentence(error.message) };
  if (error instanceof RangeError) {
    return { verdict: "memory", message: `The browser has no memory for this (${error.message}).` };
  }
  return { verdict: "bug", message: `The decoder failed, which is a fault of its own: ${error instanceof Error ? error.message : error}.` };
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

async function act(number: number, request: Request): Promise<[unknown, Transferable[]]> {
  const decoder = await ready;
  if (request.type === "model") {
    const { id, name } = decoder.addModel(request.bytes);
    return [{ id, name }, []];
  }
  if (request.type === "peek") return [begun(request.bytes), []];
  const start = await prepared(decoder, request.bytes);
  const progress = (share: number) => scope.postMessage({ number, progress: share });
  const region = request.type === "decode" ? request.region : undefined;
  const picture = decoder.decode(request.bytes, { progress, ...(region && { region }) });
  const milliseconds = performance.now() - start;
  if (request.type === "png") {
    const png = await writePng(picture);
    return [png, [png.buffer]];
  }
  const { metadata } = picture;
  const special = metadata.cicp ?? metadata.iccProfile ?? metadata.gamma;
  const shown: Shown = {
    region: region ?? { x: 0, y: 0, width: picture.width, height: picture.height },
    rgba: rgbaOf(picture),
    header: picture.header,
    mode: picture.mode,
    modelName: picture.modelName,
    metadata: metadataFacts(metadata),
    colored: special === undefined ? null : await writePng(picture, true),
    verified: picture.verified,
    fast: decoder.isFast,
    milliseconds,
  };
  return [shown, [shown.rgba.buffer, ...(shown.colored ? [shown.colored.buffer] : [])]];
}

/** The header, and EXIF's orientation; what is wrong behind the header is said when the file is decoded. */
function begun(bytes: Uint8Array): Begun {
  const header = peek(bytes);
  try {
    const exif = readImageFile(bytes).chunks.get("exif");
    return { header, orientation: exif === undefined ? 1 : orientationOf(exif) };
  } catch (error) {
    if (!(error instanceof IntactError)) throw error;
    return { header, orientation: 1 };
  }
}

/** Sees to the model of a file; returns when decoding begins. A model that does not come is the decoder's to report. */
async function prepared(decoder: Decoder, bytes: Uint8Array): Promise<number> {
  const { modelId } = peek(bytes);
  if (!decoder.hasModel(modelId)) {
    const served = await servedModel(modelId).catch(() => null);
    try {
      if (served !== null) decoder.addModel(served);
    } catch (error) {
      if (!(error instanceof IntactError)) throw error;
      const what = `the model ${modelId} of this file is not here: what is served in its place is of no use (${error.message})`;
      throw new IntactError("model-missing", what, modelId);
    }
  }
  return performance.now();
}

async function servedModel(id: string): Promise<Uint8Array | null> {
  const response = await fetch(`models/${id}.intactm`);
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
}

function rgbaOf({ pixels, mode, width, height }: Decoded): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(width * height * 4);
  const channels = { L: 1, LA: 2, RGB: 3, RGBA: 4 }[mode];
  const gray = channels < 3;
  for (let i = 0, from = 0; i < out.length; i += 4, from += channels) {
    out[i] = pixels[from]!;
    out[i + 1] = pixels[gray ? from : from + 1]!;
    out[i + 2] = pixels[gray ? from : from + 2]!;
    out[i + 3] = channels % 2 ? 255 : pixels[from + channels - 1]!;
  }
  return out;
}
