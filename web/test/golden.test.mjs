// Every golden file of vectors/, by the definitions in TypeScript and by the kernels in WebAssembly.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  Banks, Bank, embeddedWeight, Native, NativeRunner, PlainMessage, Decoder, IntactError, fault, openMessage, peekModelId, plainRunner,
  probeInput, probeProgram, readModel, readProgram,
} from "../dist/parts.js";
import { IMAGES, INVALID, json, MODULE, names, read, sha256, treeOf, TYPES, WAYS } from "./vectors.mjs";

test("the kernels prove right", () => assert.equal(fault(MODULE), null));

const SHIPPED = new URL("../../src/intact/models/", import.meta.url);
for (const name of readdirSync(SHIPPED).filter((name) => name.endsWith(".intactm"))) {
  // Two take more, for their 768 latents: tests/codec/test_embedded.py has the same number.
  const wanted = /^photo-(psnr|mse)\.intactm$/.test(name) ? 1.2094 : 1;
  test(`a pixel of ${name} counts as ${wanted}, in a file that carries it, too`, () => {
    const model = readModel(readFileSync(new URL(name, SHIPPED)), plainRunner);
    const programs = model.roles.map(({ name, inputs }) => [name, model.programs.get(name), inputs[0].px]);
    assert.equal(Number(embeddedWeight(programs, model.latents).toFixed(4)), wanted);
  });
}

for (const [way, make] of Object.entries(WAYS)) {
  const decoder = make();
  for (const { path, facts, model } of IMAGES) {
    if (model !== null && !decoder.hasModel(peekModelId(model))) decoder.addModel(model);
    test(`${path} decodes to its pixels (${way})`, () => {
      const picture = decoder.decode(read(path));
      assert.equal(sha256(picture.pixels), facts.pixels_sha256);
      assert.deepEqual([picture.width, picture.height, picture.mode], [facts.width, facts.height, facts.mode]);
      assert.equal(picture.header.level, facts.level ?? picture.header.level);
      assert.ok(picture.verified);
      for (const [key, name] of [["exif", "exif"], ["xmp", "xmp"], ["cicp", "cicp"], ["iccProfile", "icc_profile"]]) {
        assert.equal(Buffer.from(picture.metadata[key] ?? []).toString("hex"), facts[name] ?? "");
      }
    });
    test(`regions of ${path} are cuts of the whole (${way})`, () => {
      const file = read(path);
      const whole = decoder.decode(file);
      const { width, height } = whole;
      const channels = whole.pixels.length / width / height;
      const [w, h] = [Math.min(width, 37), Math.min(height, 21)];
      for (const [x, y] of [[0, 0], [width - w, height - h], [Math.floor((width - w) / 2), Math.floor((height - h) / 3)]]) {
        const part = decoder.decode(file, { region: { x, y, width: w, height: h } });
        for (let row = 0; row < h; row++) {
          const at = ((y + row) * width + x) * channels;
          const right = whole.pixels.subarray(at, at + w * channels);
          assert.deepEqual(part.pixels.subarray(row * w * channels, (row + 1) * w * channels), right);
        }
      }
    });
  }

  const hyper = json("image/hyperprior/index.json");
  for (const [name, facts] of Object.entries(hyper)) {
    const files = [read("image/hyperprior", `${name}.intactm`), read("image/hyperprior", `${name}.intact`)];
    if (facts.profile !== "exact") {
      test(`hyperprior/${name} is refused, for it computes in float (${way})`, () => {
        assert.throws(() => make().addModel(files[0]), { verdict: "inexact", message: /floating point/ });
        assert.throws(() => make().decode(files[1]), { verdict: "inexact", message: /floating point/ });
      });
    }
  }
}

for (const { path, model, verdict } of INVALID) {
  test(`${path} is refused (${verdict})`, () => {
    const decoder = new Decoder(MODULE);
    if (model !== null) decoder.addModel(model);
    const act = () => (path.endsWith("m") ? decoder.addModel(read(path)) : decoder.decode(read(path)));
    assert.throws(act, (error) => error instanceof IntactError && error.verdict.replace("-missing", "") === verdict);
  });
}
for (const [name, what] of Object.entries(json("unsupported/index.json"))) {
  test(`unsupported/${name} is refused by its name`, () => {
    const decoder = new Decoder(MODULE);
    const act = () => (name.endsWith("m") ? decoder.addModel(read("unsupported", name)) : decoder.decode(read("unsupported", name)));
    assert.throws(act, (error) => error instanceof IntactError && error.verdict === "unsupported" && error.message.includes(what));
  });
}

const runners = {
  plain: () => plainRunner,
  WebAssembly: (program) => {
    const runner = new NativeRunner(new Native(MODULE));
    runner.prepare(program);
    return runner;
  },
};
const valueOf = ({ shape: [height, width, channels], values }) => ({ height, width, channels, data: Int16Array.from(values) });

for (const [way, runner] of Object.entries(runners)) {
  for (const name of names("op", ".json")) {
    test(`op/${name} gives its outputs (${way})`, () => {
      for (const { program: tree, level, inputs, outputs } of json("op", name)) {
        const program = readProgram(treeOf(tree, TYPES), tree.name);
        const given = new Map(Object.entries(inputs).map(([key, value]) => [key, valueOf(value)]));
        const found = runner(program).run(program, given, level);
        for (const [key, value] of Object.entries(outputs)) assert.deepEqual(found.get(key), valueOf(value), tree.name);
      }
    });
  }
  test(`intnet/qtanh.json, the paper's second example, gives its outputs (${way})`, () => {
    const { program: tree, cases } = json("intnet/qtanh.json");
    const program = readProgram(treeOf(tree, TYPES), "qtanh");
    const value = (list) => ({ height: list.length, width: list[0].length, channels: list[0][0].length, data: Int16Array.from(list.flat(2)) });
    for (const { u, w2 } of cases) {
      assert.deepEqual(runner(program).run(program, new Map([["u", value(u)]]), 0).get("w2"), value(w2));
    }
  });
}

for (const [height, width] of [[1, 1], [2, 5], [40, 3]]) {
  test(`the kernels equal the definitions on ${height} x ${width} positions`, () => {
    const program = probeProgram();
    const inputs = new Map([["x", probeInput(height, width)]]);
    assert.deepEqual(runners.WebAssembly(program).run(program, inputs, 77), plainRunner.run(program, inputs, 77));
  });
}

const open = { plain: (payload) => new PlainMessage(payload), WebAssembly: (payload) => openMessage(new Banks(new Native(MODULE)), payload) };
for (const [way, make] of Object.entries(open)) {
  test(`bits/rans.json decodes to its symbols, and no cut of a payload does (${way})`, () => {
    for (const { name, minimums, freqs, parts, payload } of json("bits/rans.json")) {
      const bank = Bank.of(...minimums.map((minimum, i) => [minimum, freqs[i]]));
      const bytes = Uint8Array.from(Buffer.from(payload, "hex"));
      const decode = (data) => {
        const message = make(data);
        const found = parts.map(({ indexes }) => Array.from(message.part(Uint16Array.from(indexes), bank)));
        message.end();
        return found;
      };
      assert.deepEqual(decode(bytes), parts.map(({ symbols }) => symbols), name);
      if (bytes.length === 0) continue;
      for (const cut of [bytes.length - 1, bytes.length >> 1, 1]) {
        assert.throws(() => decode(bytes.slice(0, cut)), { verdict: "corrupt" }, name);
      }
      assert.throws(() => decode(Uint8Array.from([...bytes, 0])), { verdict: "corrupt" }, name);
    }
  });
}
