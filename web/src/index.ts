/**
 * Intact image files, decoded to the same pixels everywhere.
 *
 * An implementation of docs/spec/ of its own: nothing here was made from the Python package but the C kernels.
 */

export { IntactError, type Verdict } from "./errors.js";
export type { Header, Mode, Profile } from "./container/image_file.js";
export { peek, MAX_PIXELS } from "./container/image_file.js";
export { peekModelId } from "./container/model_file.js";
export type { Region } from "./codec/decode.js";
export type { Model } from "./codec/model.js";
export { decode, Decoder, type Decoded, type DecodeOptions, type Metadata } from "./decoder.js";
