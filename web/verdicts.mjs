// Reads files from the standard input and says of each what the decoder says: the hash of its pixels (of a model its
// id), or its verdict. A record is a letter (m: a model to keep, M: a model to judge, I: an image), the length in four
// bytes, and the file. tests/web/mutated.py compares the lines with Python's.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Decoder, IntactError, kernels, readModel } from "./dist/parts.js";

const MOST_PIXELS = 2 ** 16;

function verdictOf(act) {
  try {
    return act();
  } catch (error) {
    return error instanceof IntactError ? `${error.verdict}\t${error.message}` : `BUG\t${error.stack}`.replaceAll("\n", " | ");
  }
}

function* records(data) {
  for (let at = 0; at < data.length; ) {
    const size = data.readUInt32LE(at + 1);
    yield [String.fromCharCode(data[at]), new Uint8Array(data.subarray(at + 5, at + 5 + size))];
    at += 5 + size;
  }
}

const decoder = new Decoder(new WebAssembly.Module(kernels));
const lines = [];
for (const [kind, bytes] of records(readFileSync(0))) {
  if (kind === "m") decoder.addModel(bytes);
  else if (kind === "M") lines.push(verdictOf(() => readModel(bytes).id));
  else {
    lines.push(verdictOf(() => createHash("sha256").update(decoder.decode(bytes, { maxPixels: MOST_PIXELS }).pixels).digest("hex")));
    if (!decoder.isFast) throw new Error(`the kernels were found wrong in file ${lines.length}`);
  }
}
process.stdout.write(lines.map((line) => `${line}\n`).join(""));
