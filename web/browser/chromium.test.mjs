// The decoder and the page in headless Chromium, on real files.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import { crc32, Decoder } from "../dist/parts.js";
import { IMAGES, json, MODULE, modelFile, read, sha256, VERDICTS } from "../test/vectors.mjs";
import { launch, serve, settled } from "./setup.mjs";

const TINY = json("image/index.json");
const MODELS = [...new Set(IMAGES.map(({ facts }) => facts.model))].filter((name) => name !== null);
let site, browser, page, asked, faults;

before(async () => {
  site = await serve(MODELS.map(modelFile), Object.fromEntries(MODELS.map((name) => [`/models/${name}`, modelFile(name)])));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.close();
});

/** A fresh page; what it asks for and what goes wrong in it are kept. */
async function open(options = {}) {
  await page?.close();
  page = await browser.newPage({ viewport: { width: 1000, height: 700 }, ...options });
  [asked, faults] = [[], []];
  page.on("request", (request) => asked.push(request.url()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && !/404/.test(message.text()) && faults.push(message.text()));
  await page.goto(`${site.origin}/page/`);
  return page;
}
const drop = async (...files) => {
  await page.setInputFiles("#open", files.map((one) => (typeof one === "string" ? file(one.split("/").pop(), read(one)) : one)));
  await settled(page);
};
const textOf = (selector) => page.locator(selector).innerText();
const file = (name, bytes) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });

test("all golden files decode to the same pixels in Chromium, and bad ones get the same verdict", async () => {
  const jobs = IMAGES.map(({ path, facts }) => [facts.model, path, facts.pixels_sha256]);
  for (const [name, { model, error }] of Object.entries(json("invalid/index.json"))) jobs.push([model ?? null, `invalid/${name}`, VERDICTS[error]]);
  for (const name of Object.keys(json("unsupported/index.json"))) jobs.push(["image/tiny.intactm", `unsupported/${name}`, "unsupported"]);
  for (const name of ["prior", "float"]) jobs.push([null, `image/hyperprior/${name}.intact`, "inexact"]);
  await open();
  await page.goto(`${site.origin}/blank.html`);
  const found = await page.evaluate(async (jobs) => {
    const { Decoder } = await import("/intact.js");
    const get = async (path) => new Uint8Array(await (await fetch(`/vectors/${path}`)).arrayBuffer());
    const hex = async (bytes) => Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
    const decoders = new Map();
    const decoderOf = async (model) => {
      if (!decoders.has(model)) {
        const decoder = await Decoder.create();
        if (!decoder.isFast) throw new Error("no WebAssembly");
        if (model !== null) decoder.addModel(new Uint8Array(await (await fetch(`/models/${model}`)).arrayBuffer()));
        decoders.set(model, decoder);
      }
      return decoders.get(model);
    };
    const results = [];
    for (const [model, path, wanted] of jobs) {
      const decoder = await decoderOf(model);
      const bytes = await get(path);
      let got;
      try {
        got = path.endsWith("m") ? decoder.addModel(bytes).id : await hex(decoder.decode(bytes).pixels);
      } catch (error) {
        got = error.verdict?.replace("-missing", "") ?? String(error);
      }
      results.push([path, wanted, got]);
    }
    return results;
  }, jobs);
  assert.ok(found.length > 110);
  for (const [path, wanted, got] of found) assert.equal(got, wanted, path);
});

test("a dropped file is shown with its verdict, size and rate; nothing leaves the page's own server", async () => {
  await open();
  assert.match(await textOf("#empty"), /Drop .intact files here/);
  await drop("image/finest.intact");
  assert.match(await textOf("#verdict"), /checksum is met/);
  const bytes = read("image", "finest.intact").length;
  const facts = await textOf("#facts");
  for (const text of ["90 \u00d7 70 pixels", `${bytes} bytes`, `${((8 * bytes) / 6300).toFixed(3)} bits per pixel`, "tiny"]) {
    assert.ok(facts.includes(text), `${text} in ${facts}`);
  }
  const shown = await page.evaluate(() => {
    const canvas = document.querySelector("#over");
    return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
  });
  const decoder = new Decoder(MODULE);
  decoder.addModel(modelFile("image/tiny.intactm"));
  const { pixels } = decoder.decode(read("image", "finest.intact"));
  assert.deepEqual(shown.filter((_, i) => i % 4 < 3), Array.from(pixels));
  assert.deepEqual(asked.filter((url) => !url.startsWith(`${site.origin}/page/`) && !/^(data|blob):/.test(url)), []);
  assert.deepEqual(faults, []);
});

const SENTENCES = [
  ["no image file at all", () => file("a.intact", "hello, I am text"), /^This is not an Intact image file\.$/],
  ["an empty file", () => file("a.intact", ""), /^This is not an Intact image file\.$/],
  ["a file that was cut short", () => file("a.intact", read("image", "finest.intact").slice(0, 90)), /ends early/],
  ["a file that was changed as text", () => file("a.intact", read("image", "finest.intact").filter((b) => b !== 13)), /line ends were changed/],
  ["a flipped bit", () => file("a.intact", read("image", "finest.intact").map((b, i) => (i === 60 ? b ^ 4 : b))), /damaged: the checksum/],
  ["a later version", () => file("a.intact", read("image", "finest.intact").map((b, i) => (i === 8 ? 0x20 : b))), /version 2\.0/],
  ["a model that is not here", () => file("a.intact", withModel(read("image", "finest.intact"))), /^The model 5a.* of this file is not here\. Drop its model here, a file \.intactm\.$/],
  ["a float profile", () => "image/hyperprior/prior.intact", /computed in floating point/],
  ["what this version lacks", () => "unsupported/preview.intact", /a preview of 3 bytes, which this version does not decode/],
  ["what the browser cannot read", () => file("a.png", "no picture"), /neither an Intact image file nor a picture/],
];

/** The file with another model's id and a right checksum. */
function withModel(bytes) {
  const changed = Buffer.from(bytes);
  changed.fill(0x5a, 9, 25);
  const end = changed.length - 5; // there are no chunks
  changed.writeUInt32LE(crc32(changed.subarray(0, end)), end);
  return changed;
}

for (const [what, make, sentence] of SENTENCES) {
  test(`${what} is said in a sentence, and no picture is shown`, async () => {
    await open();
    await drop(make());
    assert.match(await textOf("#message"), sentence);
    assert.ok(await page.locator("#view").isHidden());
    assert.equal(await textOf("#verdict"), "");
    assert.deepEqual(faults, []);
  });
}

test("a huge claim is refused at once, and the page goes on", async () => {
  await open();
  const head = Buffer.from(read("image", "finest.intact").slice(0, 32));
  const size = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  await drop(file("huge.intact", Buffer.concat([head, size, Buffer.alloc(50)])));
  await page.waitForSelector("#message:not([hidden])");
  assert.match(await textOf("#message"), /exceeds the limit/);
  await drop("image/finest.intact");
  assert.match(await textOf("#verdict"), /checksum is met/);
});

test("a model that is dropped decodes the files that waited for it", async () => {
  await open();
  await page.route("**/models/**", (route) => route.fulfill({ status: 404 }));
  await drop("image/plain.intact");
  assert.match(await textOf("#message"), /is not here/);
  await page.setInputFiles("#open", [file("tiny.intactm", modelFile("image/tiny.intactm"))]);
  await page.waitForFunction(() => /checksum is met/.test(document.querySelector("#verdict").textContent));
});

test("two pictures are compared with a divider, one of them a PNG", async () => {
  await open();
  await drop("image/finest.intact", "image/coarsest.intact");
  await page.selectOption("#compare", { label: "coarsest.intact" });
  await page.waitForSelector("#divider:not([hidden])");
  const cut = () => page.evaluate(() => ["over", "under"].map((id) => document.getElementById(id).style.clipPath));
  const before = await cut();
  const box = await page.locator("#handle").boundingBox();
  await page.mouse.move(box.x + 18, box.y + 18);
  await page.mouse.down();
  await page.mouse.move(box.x - 150, box.y + 18, { steps: 5 });
  await page.mouse.up();
  assert.notDeepEqual(await cut(), before);
  assert.ok(Number(await page.inputValue("#slider")) < 50);
  await page.selectOption("#compare", "");
  assert.ok(await page.locator("#divider").isHidden());
});

test("a file that cannot be compared with is named, and comparing ends", async () => {
  await open();
  await drop("image/finest.intact", file("cut.intact", read("image", "finest.intact").slice(0, 90)));
  await page.selectOption("#compare", { label: "cut.intact" });
  await page.waitForSelector("#message:not([hidden])");
  assert.match(await textOf("#message"), /^cut\.intact: .*ends early/);
  for (const gone of ["#divider", "#sliderField", "#nameUnder"]) assert.ok(await page.locator(gone).isHidden(), gone);
  assert.match(await textOf("#verdict"), /checksum is met/);
});

test("two pictures of which only what is seen is decoded are compared, too", async () => {
  await open();
  await drop("image/codec2/four_tiles.intact", "image/finest.intact");
  await page.click("nav button:nth-child(2)");
  await page.check("#part");
  await page.click("nav button:nth-child(1)");
  await page.check("#part");
  await page.selectOption("#compare", { label: "finest.intact" });
  await page.waitForSelector("#divider:not([hidden])");
});

test("an error while comparing leaves no divider behind", async () => {
  await open();
  await drop("image/finest.intact", "image/coarsest.intact", file("a.intact", "text"));
  await page.selectOption("#compare", { label: "coarsest.intact" });
  await page.waitForSelector("#divider:not([hidden])");
  await page.click("nav button:nth-child(3)");
  assert.match(await textOf("#message"), /not an Intact image file/);
  assert.ok(await page.locator("#sliderField").isHidden());
});

test("a file that the browser cannot read is named, and the others are shown", async () => {
  await open();
  await page.evaluate((bytes) => {
    const folder = new File([], "folder");
    folder.arrayBuffer = () => Promise.reject(new DOMException("no", "NotReadableError"));
    const event = new Event("drop", { cancelable: true });
    event.dataTransfer = { files: [new File([new Uint8Array(bytes)], "finest.intact"), folder] };
    dispatchEvent(event);
  }, [...read("image", "finest.intact")]);
  await settled(page);
  assert.match(await textOf("#verdict"), /checksum is met/);
  await page.click("nav button:nth-child(2)");
  assert.match(await textOf("#message"), /cannot read this file: it is a folder/);
  assert.deepEqual(faults, []);
});

/** The file with EXIF of nothing but an orientation. */
function withOrientation(bytes, orientation) {
  const exif = Buffer.from("4949 2a00 08000000 0100 1201 0300 01000000 0000 0000 00000000".replaceAll(" ", ""), "hex");
  exif[18] = orientation;
  const chunk = Buffer.concat([Buffer.from("exif"), Buffer.from([exif.length]), exif]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(chunk));
  return Buffer.concat([bytes.slice(0, -1), chunk, crc, Buffer.from([0])]); // there were no chunks
}

test("a picture is shown as EXIF says it must be turned, all of it and a part", async () => {
  const [width, height] = [90, 70];
  const decoder = new Decoder(MODULE);
  decoder.addModel(modelFile("image/tiny.intactm"));
  const { pixels } = decoder.decode(read("image", "finest.intact"));
  // Where row 0 and column 0 of what is held are shown (TIFF 6.0): what a place of the picture shown is held at.
  const held = [
    (x, y) => [x, y], (x, y) => [width - 1 - x, y], (x, y) => [width - 1 - x, height - 1 - y], (x, y) => [x, height - 1 - y],
    (x, y) => [y, x], (x, y) => [y, height - 1 - x], (x, y) => [width - 1 - y, height - 1 - x], (x, y) => [width - 1 - y, x],
  ];
  await open();
  for (let orientation = 1; orientation <= 8; orientation++) {
    await drop(file(`${orientation}.intact`, withOrientation(read("image", "finest.intact"), orientation)));
    for (const part of [false, true]) {
      await page.click("#fit");
      if (part) {
        for (let i = 0; i < 3; i++) await page.click("#larger");
        await page.check("#part");
        await page.waitForFunction(() => /^A part/.test(document.querySelector("#verdict").textContent) && document.body.dataset.state === "ready");
      }
      const shown = await page.evaluate(() => {
        const canvas = document.querySelector("#over");
        const data = Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
        const [, left, top, scale] = canvas.style.transform.match(/\((.+)px, (.+)px\) scale\((.+), /).map(Number);
        return { left, top, scale, width: canvas.width, height: canvas.height, data };
      });
      const turned = orientation > 4 ? [height, width] : [width, height];
      if (!part) assert.deepEqual([shown.width, shown.height], turned);
      else assert.ok(shown.width * shown.height < width * height);
      // A part is shown about the middle of the view, and so is the picture.
      const view = await page.evaluate(() => [document.querySelector("#view").clientWidth, document.querySelector("#view").clientHeight]);
      const from = [0, 1].map((i) => Math.round(turned[i] / 2 - (view[i] / 2 - [shown.left, shown.top][i]) / shown.scale));
      const wanted = [];
      for (let y = 0; y < shown.height; y++) {
        for (let x = 0; x < shown.width; x++) {
          const [hx, hy] = held[orientation - 1](x + from[0], y + from[1]);
          wanted.push(...pixels.subarray(3 * (hy * width + hx), 3 * (hy * width + hx) + 3));
        }
      }
      assert.deepEqual(shown.data.filter((_, i) => i % 4 < 3), wanted, `${orientation} ${part}`);
    }
  }
  assert.deepEqual(faults, []);
});

test("a decoder that does not start is said, and tried again", async () => {
  await open();
  await page.route("**/worker.js", (route) => route.fulfill({ status: 404 }));
  await page.goto(`${site.origin}/page/`);
  await drop("image/finest.intact");
  assert.match(await textOf("#message"), /could not be started/);
  await page.unroute("**/worker.js");
  await drop("image/coarsest.intact");
  assert.match(await textOf("#verdict"), /checksum is met/);
});

/** Zeros of a zlib stream as a gray PNG of this size. */
function emptyPng(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [size, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    crc.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, crc]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const magic = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([magic, chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.alloc((width + 1) * height))), chunk("IEND", Buffer.alloc(0))]);
}

test("of what is too large for a canvas nothing empty is shown", async () => {
  await open();
  await drop(file("wide.png", emptyPng(70000, 2)));
  assert.match(await textOf("#message"), /^The browser cannot show 70000 \u00d7 2 pixels at once\.$/);
  // Chromium's limit is above what the golden files have: one of 80 pixels stands for it.
  await open();
  await page.evaluate(() => {
    const { getContext } = HTMLCanvasElement.prototype;
    HTMLCanvasElement.prototype.getContext = function (...kind) {
      const context = getContext.apply(this, kind);
      return this.width <= 80 ? context : new Proxy(context, {
        get: (target, key) => (key === "getImageData" ? () => new ImageData(1, 1) : typeof target[key] === "function" ? target[key].bind(target) : target[key]),
      });
    };
  });
  await page.setInputFiles("#open", [file("finest.intact", read("image", "finest.intact"))]);
  await page.waitForFunction(() => /cannot show 90 \u00d7 70 pixels at once\. Only what is seen is decoded/.test(document.querySelector("#message").textContent));
  assert.ok(await page.isChecked("#part"));
  await settled(page);
  assert.doesNotMatch(await textOf("#verdict"), /checksum is met: these/);
});

test("what is served for a model and is none does not keep the right one out", async () => {
  for (const answer of [{ status: 200, contentType: "text/html", body: "<!doctype html>" }, { abort: true }]) {
    await open();
    await page.route("**/models/**", (route) => (answer.abort ? route.abort() : route.fulfill(answer)));
    await drop("image/plain.intact");
    assert.match(await textOf("#message"), /^The model [0-9a-f]{32} of this file is not here.* Drop its model here, a file \.intactm\.$/);
    await page.setInputFiles("#open", [file("tiny.intactm", modelFile("image/tiny.intactm"))]);
    await page.waitForFunction(() => /checksum is met/.test(document.querySelector("#verdict").textContent));
  }
});

test("a model file that is none is called so, also where nothing of it is right", async () => {
  await open();
  await page.setInputFiles("#open", [file("a.intactm", "")]);
  await page.waitForSelector("#message:not([hidden])");
  assert.match(await textOf("#message"), /^a\.intactm: This is not an Intact model file\.$/);
});

test("a file that is larger than a browser can read is refused before it is read", async () => {
  await open();
  const read = await page.evaluate(() => {
    let read = false;
    const large = { name: "large.intact", size: 3e9, arrayBuffer: async () => ((read = true), new ArrayBuffer(9)) };
    const event = new Event("drop", { cancelable: true });
    event.dataTransfer = { files: [large] };
    dispatchEvent(event);
    return read;
  });
  await settled(page);
  assert.equal(read, false);
  assert.match(await textOf("#message"), /^This file has 3000\.00 MB, more than the browser can read at once\.$/);
});

test("whoever chooses a file by keys stays at its button", async () => {
  await open();
  await drop("image/finest.intact", "image/coarsest.intact");
  await page.focus("nav button:nth-child(2)");
  await page.keyboard.press("Enter");
  await settled(page);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "coarsest.intact");
});

test("the PNG that is downloaded has the same samples and the same colors", async () => {
  await open();
  for (const name of ["image/rgb_alpha.intact", "image/hdr_colors.intact"]) {
    await drop(name);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    const chunks = [];
    for await (const part of await download.createReadStream()) chunks.push(part);
    const { samples, types } = readPng(Buffer.concat(chunks));
    assert.equal(sha256(samples), TINY.files[name.split("/")[1]].pixels_sha256);
    assert.equal(types.includes("cICP"), name.includes("hdr"));
  }
});

/** The samples of a PNG whose rows all have filter 2, and the types of its chunks. */
function readPng(png) {
  const types = [];
  const data = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    types.push(png.toString("latin1", at + 4, at + 8));
    if (types.at(-1) === "IDAT") data.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const row = width * { 0: 1, 4: 2, 2: 3, 6: 4 }[png[25]];
  const lines = inflateSync(Buffer.concat(data));
  assert.equal(lines.length, (row + 1) * height);
  const samples = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    assert.equal(lines[y * (row + 1)], 2);
    for (let i = 0; i < row; i++) samples[y * row + i] = lines[y * (row + 1) + 1 + i] + (y ? samples[(y - 1) * row + i] : 0);
  }
  return { samples, types };
}

test("only what is seen is decoded, where that is asked for", async () => {
  await open();
  await drop("image/codec2/four_tiles.intact");
  await page.click("#actual");
  for (let i = 0; i < 3; i++) await page.click("#larger");
  await page.check("#part");
  await page.waitForFunction(() => document.querySelector("#over").width < 400 && document.body.dataset.state === "ready");
  assert.match(await textOf("#verdict"), /^A part of the picture/);
  const { x, y, width, height, data } = await page.evaluate(() => {
    const canvas = document.querySelector("#over");
    const [, x, y] = canvas.style.transform.match(/translate\((.+)px, (.+)px\)/).map(Number);
    const { width, height } = canvas;
    return { x, y, width, height, data: Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data) };
  });
  assert.ok(Number.isFinite(x) && Number.isFinite(y));
  const decoder = new Decoder(MODULE);
  decoder.addModel(modelFile("image/codec2/tiny2.intactm"));
  const whole = decoder.decode(read("image/codec2", "four_tiles.intact"));
  const wanted = data.filter((_, i) => i % 4 < 3);
  const at = (px, py) => Array.from({ length: height }, (_, row) => Array.from(whole.pixels.subarray(((py + row) * whole.width + px) * 3, ((py + row) * whole.width + px + width) * 3))).flat();
  // Where it lies follows from the zoom: found by its first rows.
  const places = [];
  for (let py = 0; py + height <= whole.height; py++) {
    for (let px = 0; px + width <= whole.width; px++) {
      const from = (py * whole.width + px) * 3;
      if (wanted.every((value, i) => i >= 60 || value === whole.pixels[from + i])) places.push([px, py]);
    }
  }
  assert.ok(places.some(([px, py]) => at(px, py).join() === wanted.join()));
});

test("the page stays alive while it decodes, and decoding can be stopped", async () => {
  await open();
  await drop("image/codec2/four_tiles.intact");
  const ticks = await page.evaluate(async () => {
    let count = 0;
    const timer = setInterval(() => count++, 5);
    const part = document.querySelector("#part");
    part.click();
    part.click(); // decodes the whole again
    await new Promise((resolve) => setTimeout(resolve, 250));
    clearInterval(timer);
    return count;
  });
  assert.ok(ticks >= 5, `${ticks} ticks`);
  await settled(page);
  await page.evaluate(() => {
    document.querySelector("#part").click();
    document.querySelector("#part").click();
    document.querySelector("#stop").click();
  });
  await page.waitForFunction(() => /^Stopped/.test(document.querySelector("#message").textContent));
  await page.click("nav button");
  await page.waitForFunction(() => /checksum is met/.test(document.querySelector("#verdict").textContent));
  await drop("image/finest.intact");
  assert.match(await textOf("#verdict"), /checksum is met/);
});

test("the page fits a phone, light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await open({ viewport: { width: 360, height: 640 }, colorScheme });
    await drop("image/finest.intact", "image/coarsest.intact", "image/plain.intact");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false);
    const box = await page.locator("#view").boundingBox();
    assert.ok(box.width > 300 && box.height > 150, JSON.stringify(box));
  }
});

test("what intact view serves is shown, and of files that are gone it is said", { skip: !process.env.INTACT_VIEW_URL && "no INTACT_VIEW_URL" }, async () => {
  await open();
  await page.goto(process.env.INTACT_VIEW_URL);
  await settled(page);
  assert.match(await textOf("#verdict"), /checksum is met/);
  await page.click("nav button:has-text('gone.intact')");
  assert.match(await textOf("#message"), /server cannot read this file/);
  const { origin } = new URL(process.env.INTACT_VIEW_URL);
  assert.deepEqual(asked.slice(asked.findIndex((url) => url.startsWith(origin))).filter((url) => !url.startsWith(origin) && !/^(data|blob):/.test(url)), []);
  assert.deepEqual(faults, []);
});
