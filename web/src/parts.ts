/** What tests look at beside the public interface; no part of the package. */

export * from "./index.js";
export { PlainMessage } from "./bits/rans.js";
export { Bank } from "./bits/tables.js";
export { readModel } from "./codec/model.js";
export { crc32 } from "./container/crc32.js";
export { inflate } from "./container/inflate.js";
export { Sha256 } from "./container/sha256.js";
export { TreeArray, TYPES } from "./container/tree.js";
export { readImageFile } from "./container/image_file.js";
export { NativeRunner } from "./fast/engine.js";
export { Banks, openMessage } from "./fast/message.js";
export { Native } from "./fast/native.js";
export { fault, probeInput, probeProgram } from "./fast/prove.js";
export { embeddedWeight } from "./intnet/cost.js";
export { plainRunner } from "./intnet/ops.js";
export { readProgram } from "./intnet/program.js";
export { default as kernels } from "../wasm/kernels.wasm";
