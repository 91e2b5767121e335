// Decodes files with the browser's decoder (web/dist/parts.js, the WebAssembly kernels) in Node.
//   node node.mjs PARTS.js JOB.json      JOB: {"cases": [{"key", "model" (a path or null), "file" (a path)}]}
// A line of JSON each: the hash of its pixels, or the verdict and message of the error. A file that ends in
// "intactm" is a model to be judged. Started by `run`.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Decoder, IntactError, kernels, readModel } = await import(pathToFileURL(process.argv[2]).href);
const { cases } = JSON.parse(readFileSync(process.argv[3], "utf8"));
const module = new WebAssembly.Module(kernels);
const decoders = new Map();

for (const { key, model, file } of cases) {
  const line = { key };
  try {
    if (!decoders.has(model)) {
      const fresh = new Decoder(module);
      if (model !== null) fresh.addModel(new Uint8Array(readFileSync(model)));
      decoders.set(model, fresh);
    }
    const decoder = decoders.get(model);
    const bytes = new Uint8Array(readFileSync(file));
    if (file.endsWith("intactm")) line.hash = readModel(bytes).id;
    else line.hash = createHash("sha256").update(decoder.decode(bytes).pixels).digest("hex");
    line.fast = decoder.isFast;
  } catch (error) {
    if (!(error instanceof IntactError)) throw error;
    Object.assign(line, { verdict: error.verdict, message: error.message });
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
