// Where the golden files are, and how tests read them.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Decoder, kernels, TreeArray } from "../dist/parts.js";

export const VECTORS = new URL("../../vectors/", import.meta.url).pathname;
export const read = (...parts) => new Uint8Array(readFileSync(join(VECTORS, ...parts)));
export const json = (...parts) => JSON.parse(readFileSync(join(VECTORS, ...parts), "utf8"));
export const names = (folder, suffix) => readdirSync(join(VECTORS, folder)).filter((name) => name.endsWith(suffix)).sort();
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

export const MODULE = new WebAssembly.Module(kernels);
/** Both ways to decode: the definitions, and the kernels. */
export const WAYS = { plain: () => new Decoder(), WebAssembly: () => new Decoder(MODULE) };

/** Whole images: path, facts and model file; null where the model travels in the image. */
export const IMAGES = Object.entries(json("files.json")).map(([path, facts]) => ({ path, facts, model: modelFile(facts.model) }));

/** A model's file by its path below vectors/, or by the name of one of the package. */
export function modelFile(name) {
  if (name === null) return null;
  return name.includes("/") ? read(name) : new Uint8Array(readFileSync(join(VECTORS, "../src/intact/models", `${name}.intactm`)));
}

/** Verdicts by the names of Python's errors. A missing model ("model-missing") is an error of models there, too. */
export const VERDICTS = {
  CorruptDataError: "corrupt", UnsupportedError: "unsupported", InexactError: "inexact", ModelError: "model", ModelNotFoundError: "model-missing",
};

/** What must be refused, with the model that is there and the verdict. */
export const INVALID = Object.entries(json("invalid/index.json")).map(([name, { model, error }]) => ({
  path: `invalid/${name}`, model: model ? modelFile(model) : null, verdict: VERDICTS[error],
}));

/** A tree as a model file holds it from JSON, in which an array is a list, or its shape and values. */
export function treeOf(item, types, key = "") {
  if (Object.hasOwn(types, key) && typeof item !== "number") {
    const { shape, values } = Array.isArray(item) ? { shape: shapeOf(item), values: item.flat(Infinity) } : item;
    const array = new TreeArray(types[key], shape);
    const Kind = types[key] === "int16" ? Int16Array : Int32Array;
    array.data = new Uint8Array(Kind.from(values).buffer);
    return array;
  }
  if (Array.isArray(item)) return item.map((value) => treeOf(value, types));
  if (item === null || typeof item !== "object") return typeof item === "boolean" ? Number(item) : item;
  return new Map(Object.entries(item).map(([name, value]) => [name, treeOf(value, types, name)]));
}

function shapeOf(list) {
  const shape = [];
  for (let item = list; Array.isArray(item); item = item[0]) shape.push(item.length);
  return shape;
}

export const TYPES = { weight: "int16", bias: "int32", slope: "int32", divisor: "int16", factor: "int16", table: "int16" };
