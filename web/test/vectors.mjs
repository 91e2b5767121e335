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

/** Folders of whole images and the model of each; an index lists the files. */
export const FOLDERS = ["image", "image/codec2"].map((folder) => {
  const { model, files } = json(folder, "index.json");
  return { folder, model: read(folder, model), files };
});

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
