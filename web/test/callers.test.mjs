// What callers may give, and what they may not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../dist/intact.js";
import { Decoder } from "../dist/parts.js";
import { MODULE, read, sha256, WAYS } from "./vectors.mjs";

const model = read("image", "tiny.intactm");

test("bytes may be of a class of their own, as a Buffer, and are not kept", () => {
  const buffer = (bytes, at) => Buffer.concat([Buffer.alloc(at), bytes]).subarray(at);
  const whole = new Decoder();
  whole.addModel(model);
  const wanted = sha256(whole.decode(read("image", "plain.intact")).pixels);
  for (const make of Object.values(WAYS)) {
    for (const at of [0, 1, 2]) {
      const decoder = make();
      decoder.addModel(buffer(model, at));
      assert.equal(sha256(decoder.decode(buffer(read("image", "plain.intact"), at)).pixels), wanted);
    }
  }
  // One Buffer, filled with one file after the other, of the same length.
  const region = { x: 0, y: 0, width: 16, height: 16 };
  const file = buffer(read("image", "plain.intact"), 3);
  const decoder = WAYS.WebAssembly();
  decoder.addModel(model);
  decoder.decode(file, { region });
  file[file.length >> 1] ^= 4;
  assert.throws(() => decoder.decode(file, { region }), { verdict: "corrupt" });
});

test("what the caller's function of progress throws is the caller's, and the kernels stay", () => {
  const decoder = new Decoder(MODULE);
  decoder.addModel(model);
  let calls = 0;
  const progress = () => {
    if (++calls === 1) throw new Error("enough");
  };
  assert.throws(() => decoder.decode(read("image", "plain.intact"), { progress }), { message: "enough" });
  assert.equal(calls, 1);
  assert.equal(decoder.isFast, true);
  assert.ok(decoder.decode(read("image", "plain.intact"), { progress }).verified);
});

test("a region that is none is the caller's mistake, too", () => {
  const decoder = new Decoder(MODULE);
  decoder.addModel(model);
  assert.throws(() => decoder.decode(read("image", "plain.intact"), { region: null }), { name: "TypeError", message: /^the region must be given as/ });
});

test("options that are none are the caller's mistake", async () => {
  const decoder = new Decoder(MODULE);
  for (const options of [null, 5, "fast"]) {
    const wanted = { name: "TypeError", message: /^the options must be given as an object, not as/ };
    assert.throws(() => decoder.decode(read("image", "plain.intact"), options), wanted);
    await assert.rejects(decode(read("image", "plain.intact"), options), wanted);
  }
});
