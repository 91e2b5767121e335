// Kernels that are wrong, or that fail: noticed before they are used, and where they slip through, by the checksum.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoder, fault, kernels, MAX_PIXELS, peek, peekModelId } from "../dist/parts.js";
import { json, MODULE, read, sha256 } from "./vectors.mjs";

/** The module with one instruction for another, which takes and gives values of the same types. */
function changed(from, to) {
  const bytes = Buffer.from(kernels);
  let count = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1), count++) to.copy(bytes, at);
  assert.ok(count > 0);
  return new WebAssembly.Module(bytes);
}
const op = (...bytes) => Buffer.from([0xfd, ...bytes]);
const DOT = op(0xba, 0x01); // i32x4.dot_i16x8_s
const ADD = op(0xae, 0x01); // i32x4.add
const { model: name, files } = json("image/index.json");
const model = read("image", name);

test("kernels that multiply wrong do not prove right", () => {
  assert.match(fault(changed(DOT, ADD)), /kernels are wrong/);
});

test("a module without the kernels does not prove right", () => {
  const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  assert.match(fault(empty), /do not run here/);
});

test("where wrong kernels slip through, the checksum notices, and the definitions decode", () => {
  const decoder = new Decoder(changed(DOT, ADD));
  decoder.addModel(model);
  const image = "whole_block.intact";
  assert.equal(sha256(decoder.decode(read("image", image)).pixels), files[image].pixels_sha256);
  assert.equal(decoder.isFast, false);
});

test("a file whose pixels are not what it says stays an error, and the kernels stay", () => {
  const decoder = new Decoder(MODULE);
  decoder.addModel(model);
  const file = Buffer.from(read("image", "edge_15_17_rgb.intact"));
  file[28] ^= 1; // the checksum of the pixels
  const end = file.length - 5;
  file.writeUInt32LE(crc(file.subarray(0, end)), end);
  assert.throws(() => decoder.decode(new Uint8Array(file)), { verdict: "corrupt", message: /checksum of its pixels/ });
  assert.equal(decoder.isFast, true);
});

function crc(bytes) {
  let c = ~0;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}

test("a file of a model that is not here names it", () => {
  const id = peek(read("image", "plain.intact")).modelId;
  const act = () => new Decoder(MODULE).decode(read("image", "plain.intact"));
  assert.throws(act, { verdict: "model-missing", modelId: id, message: new RegExp(id) });
  assert.equal(peekModelId(model), id);
});

test("every beginning of a file is refused", () => {
  const decoder = new Decoder(MODULE);
  decoder.addModel(model);
  const file = read("image", "gray_alpha.intact");
  for (let length = 0; length < file.length; length++) {
    assert.throws(() => decoder.decode(file.slice(0, length)), { verdict: "corrupt" });
  }
});

test("huge claims are refused before anything is made", () => {
  const head = Buffer.from(read("image", "one_pixel_rgb.intact").slice(0, 32));
  const claim = (...size) => new Uint8Array(Buffer.concat([head, Buffer.from(size), Buffer.alloc(60)]));
  const decoder = new Decoder(MODULE);
  assert.throws(() => decoder.decode(claim(0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f)), {
    verdict: "unsupported", message: new RegExp(`limit of ${MAX_PIXELS}`),
  });
  assert.throws(() => decoder.decode(claim(0x80, 0x80, 0x01, 0x80, 0x80, 0x01)), { verdict: "corrupt", message: /ends early/ });
});

test("a region outside the picture is the caller's mistake", () => {
  const decoder = new Decoder(MODULE);
  decoder.addModel(model);
  for (const region of [{ x: -1, y: 0, width: 1, height: 1 }, { x: 0, y: 0, width: 31, height: 1 }, { x: 0, y: 0, width: 0, height: 1 }, { x: 0.5, y: 0, width: 1, height: 1 }]) {
    assert.throws(() => decoder.decode(read("image", "hdr_colors.intact"), { region }), RangeError);
  }
});

test("what is no Uint8Array and limits that are none are the caller's mistakes", () => {
  const decoder = new Decoder(MODULE);
  const file = read("image", "plain.intact");
  for (const odd of [undefined, null, "text", [...file], file.buffer]) {
    for (const act of [() => decoder.decode(odd), () => peek(odd), () => decoder.addModel(odd), () => peekModelId(odd)]) {
      assert.throws(act, { name: "TypeError", message: /must be given as a Uint8Array, not as/ });
    }
  }
  for (const maxPixels of [NaN, 0, -1, "many"]) {
    assert.throws(() => decoder.decode(file, { maxPixels }), { name: "RangeError", message: /^maxPixels is/ });
  }
});
