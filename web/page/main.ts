/** The page: files, the one that is shown, and what is known of it. */

import type { Header } from "../src/index.js";
import type { Region } from "../src/codec/decode.js";
import { Client, Refused } from "./client.js";
import { bytesText } from "./facts.js";
import type { Begun, Shown } from "./protocol.js";
import { canvasOf, NoCanvas } from "./canvas.js";
import { heldRegion, turned, turnedSize } from "./turn.js";
import { Viewer, type Layer } from "./viewer.js";

interface Entry {
  name: string;
  /** Of an Intact file; empty for other pictures. */
  bytes: Uint8Array<ArrayBuffer>;
  header: Header | null;
  layer: Layer | null;
  shown: Shown | null;
  error: string | null;
  /** What would help against the error: a model that is dropped, or to be chosen again. */
  waits: "model" | "choice" | null;
  /** Only what is seen is decoded. */
  part: boolean;
  /** As it is shown. */
  size: [number, number] | null;
  /** EXIF's, of an Intact file; browsers turn other pictures themselves. */
  orientation: number;
}

/** Pictures of more pixels, or with a longer side, are decoded by what is seen, unless one asks for more. */
const WHOLE_PIXELS = 2 ** 24;
const WHOLE_SIDE = 16384;
/** Of a file that is read: browsers have no longer arrays. */
const MOST_BYTES = 2 ** 31 - 1;

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const ui = {
  files: find("files"), open: find<HTMLInputElement>("open"), stage: find("stage"), empty: find("empty"), view: find("view"),
  panel: find("panel"), message: find("message"), verdict: find("verdict"), facts: find("facts"),
  compare: find<HTMLSelectElement>("compare"), sliderField: find("sliderField"), slider: find<HTMLInputElement>("slider"),
  part: find<HTMLInputElement>("part"), zoom: find("zoom"), progress: find<HTMLProgressElement>("progress"),
  download: find<HTMLButtonElement>("download"), tools: find("tools"), stop: find("stop"), close: find("close"), nameOver: find("nameOver"), nameUnder: find("nameUnder"),
};

const client = new Client();
const entries: Entry[] = [];
let current: Entry | null = null;
let other: Entry | null = null;
/** What is wrong with no picture that is shown, until another one is. */
let notice: string | null = null;
/** Those that have a button, in order. */
let tabs: Entry[] = [];
let running = 0;
let working = false;
let timer: ReturnType<typeof setTimeout> | undefined;

const viewer = new Viewer(() => {
  ui.zoom.textContent = viewer.zoomText;
  ui.slider.value = String(viewer.splitShare * 100);
  if (current?.part || other?.part) {
    clearTimeout(timer);
    timer = setTimeout(() => void work(), 120);
  }
});

const pixelsOf = (header: Header) => header.width * header.height;
const isLarge = (header: Header) => pixelsOf(header) > WHOLE_PIXELS || Math.max(header.width, header.height) > WHOLE_SIDE;
const begins = (bytes: Uint8Array, ...magic: number[]) => magic.every((byte, i) => bytes[i] === byte);

interface Given {
  name: string;
  bytes: Promise<Uint8Array<ArrayBuffer>>;
}

/** Take files, of whatever kind they are; the first picture among them is shown. */
async function take(given: Given[]): Promise<void> {
  busy(1);
  let first: Entry | null = null;
  await Promise.allSettled(given.map(({ bytes }) => bytes)); // together; what went wrong is said of each
  for (const { name, bytes } of given) {
    const entry: Entry = {
      name, bytes: new Uint8Array(0), header: null, layer: null, shown: null, error: null, waits: null, part: false, size: null, orientation: 1,
    };
    try {
      entry.bytes = await bytes;
      if (begins(entry.bytes, 0xcd, 0x49, 0x4e, 0x54) || name.endsWith(".intactm")) {
        await addModel(entry);
        continue;
      }
      await begin(entry);
    } catch (error) {
      fail(entry, error);
    }
    entries.push(entry);
    first ??= entry;
  }
  busy(-1);
  if (first !== null) select(first);
  else render();
}

/** Learn the size of an entry: an Intact file's from its header, another picture's by decoding it. */
async function begin(entry: Entry): Promise<void> {
  if (begins(entry.bytes, 0xc9, 0x49, 0x4e, 0x54) || entry.name.endsWith(".intact")) {
    const { header, orientation } = await client.ask<Begun>({ type: "peek", bytes: entry.bytes });
    entry.header = header;
    entry.orientation = orientation;
    entry.part = isLarge(header);
    entry.size = turnedSize(orientation, header.width, header.height);
  } else {
    await readPicture(entry);
  }
}

async function addModel({ name, bytes }: Entry): Promise<void> {
  try {
    const { id } = await client.addModel(bytes);
    for (const entry of entries) {
      if (entry.waits === "model" && entry.header?.modelId === id) forgive(entry);
    }
    if (current) select(current);
  } catch (error) {
    notice = `${name}: ${messageOf(error)}`;
  }
}

/** A picture of another format, as the browser reads it; to compare with. */
async function readPicture(entry: Entry): Promise<void> {
  const bitmap = await createImageBitmap(new Blob([entry.bytes])).catch(() => null);
  if (bitmap === null) {
    entry.error = "This is neither an Intact image file nor a picture that the browser can read.";
    return;
  }
  entry.size = [bitmap.width, bitmap.height];
  entry.layer = { canvas: canvasOfBitmap(bitmap), region: { x: 0, y: 0, width: bitmap.width, height: bitmap.height } };
}

const canvasOfBitmap = (bitmap: ImageBitmap) => canvasOf(bitmap.width, bitmap.height, (context) => context.drawImage(bitmap, 0, 0));

/** The canvas of what was decoded, in the file's colors. */
async function canvasOfDecoded({ region, rgba, colored }: Shown): Promise<HTMLCanvasElement> {
  if (colored !== null) {
    const bitmap = await createImageBitmap(new Blob([colored], { type: "image/png" })).catch(() => null);
    if (bitmap !== null) return canvasOfBitmap(bitmap);
  }
  const { width, height } = region;
  return canvasOf(width, height, (context) => context.putImageData(new ImageData(rgba, width, height), 0, 0));
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function fail(entry: Entry, error: unknown): void {
  const verdict = error instanceof Refused ? error.failure.verdict : null;
  const advice = {
    "model-missing": ["model", " Drop its model here, a file .intactm."], stopped: ["choice", " Choose the file again to decode it."],
  } as const;
  const [waits, text] = verdict === "model-missing" || verdict === "stopped" ? advice[verdict] : [null, ""];
  entry.error = messageOf(error) + text;
  entry.waits = waits;
  if (entry === other) {
    other = null;
    notice = `${entry.name}: ${entry.error}`;
  }
}

function forgive(entry: Entry): void {
  entry.error = null;
  entry.waits = null;
}

/** What must be decoded to show an entry: a region, or all; null where it is there, or cannot be had. */
function wanted({ header, error, part, layer, size }: Entry): Region | null {
  if (header === null || error !== null || size === null || !current?.size) return null;
  let region: Region = { x: 0, y: 0, width: size[0], height: size[1] };
  if (part) {
    const seen = viewer.visible();
    if (seen === null) return null;
    const [x, width] = along(seen.x, seen.width, size[0] / current.size[0], size[0]);
    const [y, height] = along(seen.y, seen.height, size[1] / current.size[1], size[1]);
    region = { x, y, width, height };
  }
  const have = layer?.region;
  const covered = have !== undefined && have.x <= region.x && have.y <= region.y
    && have.x + have.width >= region.x + region.width && have.y + have.height >= region.y + region.height;
  return covered ? null : region;
}

/** A stretch of the shown picture in the pixels of one that lies over it in another size. */
function along(from: number, length: number, ratio: number, most: number): [number, number] {
  const start = Math.min(Math.floor(from * ratio), most - 1);
  return [start, Math.min(Math.ceil((from + length) * ratio), most) - start];
}

/** Decode, one after the other, what the shown picture and the one beside it lack. */
async function work(): Promise<void> {
  if (working) return;
  working = true;
  for (;;) {
    const entry = [current, other].find((entry) => entry !== null && wanted(entry) !== null);
    if (!entry) break;
    await decode(entry, wanted(entry)!);
  }
  working = false;
}

/** Decode a region of a file. */
async function decode(entry: Entry, region: Region): Promise<void> {
  busy(1);
  try {
    const { header, orientation } = entry;
    const whole = region.width === entry.size![0] && region.height === entry.size![1];
    const held = heldRegion(orientation, region, header!.width, header!.height);
    const request = { type: "decode" as const, bytes: entry.bytes, ...(!whole && { region: held }) };
    const shown = await client.ask<Shown>(request, (share) => (ui.progress.value = share));
    entry.layer = { canvas: turned(await canvasOfDecoded(shown), orientation), region };
    shown.rgba = new Uint8ClampedArray(0); // the canvas has it
    shown.colored = null;
    entry.shown = shown;
  } catch (error) {
    if (error instanceof NoCanvas && !entry.part) {
      entry.part = true; // work() goes on with what is seen
      notice = `${entry.name}: ${error.message} Only what is seen is decoded.`;
    } else {
      fail(entry, error);
    }
  } finally {
    busy(-1);
  }
  render();
}

function busy(change: number): void {
  running += change;
  ui.progress.hidden = ui.stop.hidden = running === 0;
  if (change > 0) ui.progress.value = 0;
  document.body.dataset["state"] = running ? "busy" : "ready";
}

function select(entry: Entry): void {
  current = entry;
  notice = null;
  if (other === entry) other = null;
  if (entry.waits === "choice") {
    forgive(entry);
    if (entry.size === null) {
      void begin(entry).catch((error: unknown) => fail(entry, error)).then(() => current === entry && select(entry));
    }
  }
  render();
  if (entry.size) viewer.setSize(...entry.size);
  if (entry.part && entry.layer === null && entry.header && isLarge(entry.header)) viewer.actual();
  void work();
}

function render(): void {
  ui.empty.hidden = entries.length > 0;
  ui.panel.hidden = entries.length === 0 && notice === null;
  ui.view.hidden = current === null || current.error !== null;
  const focused = [...ui.files.children].indexOf(document.activeElement!);
  const held = focused < 0 ? undefined : tabs[focused];
  tabs = [...entries];
  ui.files.replaceChildren(...tabs.map(tab));
  if (held !== undefined) (ui.files.children[tabs.indexOf(held)] as HTMLElement | undefined)?.focus(); // a key was pressed on it
  ui.message.hidden = notice === null && !current?.error;
  ui.message.textContent = notice ?? current?.error ?? "";
  for (const part of [ui.tools, ui.compare.parentElement!, ui.part.parentElement!, ui.close]) part.hidden = current === null;
  if (current === null) {
    ui.sliderField.hidden = true;
    ui.verdict.textContent = "";
    ui.facts.replaceChildren();
    return;
  }
  const { header, shown, error, layer } = current;
  ui.part.checked = current.part;
  ui.part.parentElement!.hidden = header === null || error !== null;
  ui.tools.hidden = error !== null && running === 0;
  ui.compare.parentElement!.hidden = error !== null;
  ui.download.disabled = header === null || error !== null;
  const verdict = error !== null || shown === null ? "" : verdictOf(shown);
  ui.verdict.textContent = verdict;
  ui.verdict.className = shown?.verified && !error ? "good" : "";
  ui.facts.replaceChildren(...factsOf(current).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  renderCompare();
  viewer.setLayer("over", layer);
  viewer.setLayer("under", other === null ? null : stretched(other));
  if (current.size) viewer.setSize(...current.size);
  document.title = `${current.name} - Intact viewer`;
}

function verdictOf(shown: Shown): string {
  if (shown.verified) return "The checksum is met: these are the encoder's pixels, bit for bit.";
  return "A part of the picture. The checksum of the file's bytes is met; that of the pixels covers the whole picture alone.";
}

/** The other picture over the area of this one, whatever size it has. */
function stretched({ layer, size }: Entry): Layer | null {
  if (layer === null || size === null || !current?.size) return null;
  const [sx, sy] = [current.size[0] / size[0], current.size[1] / size[1]];
  const { x, y, width, height } = layer.region;
  return { canvas: layer.canvas, region: { x: x * sx, y: y * sy, width: width * sx, height: height * sy } };
}

function renderCompare(): void {
  const options = entries.filter((entry) => entry !== current && entry.error === null);
  ui.compare.replaceChildren(
    new Option("nothing", "", other === null, other === null),
    ...options.map((entry) => new Option(entry.name, String(entries.indexOf(entry)), entry === other, entry === other)),
  );
  ui.compare.disabled = options.length === 0;
  const comparing = other !== null && current?.error === null;
  ui.sliderField.hidden = ui.nameOver.hidden = ui.nameUnder.hidden = !comparing;
  ui.nameOver.textContent = current?.name ?? "";
  ui.nameUnder.textContent = other?.name ?? "";
}

function factsOf({ name, bytes, header, shown, size, error }: Entry): [string, string][] {
  const facts: [string, string][] = [["File", name]];
  if (size) facts.push(["Picture", `${size[0]} \u00d7 ${size[1]} pixels`]);
  if (header === null) return facts;
  facts.push(["Size", `${bytes.length.toLocaleString("en")} bytes`]);
  if (error === null) facts.push(["Rate", `${((8 * bytes.length) / pixelsOf(header)).toFixed(3)} bits per pixel`]);
  facts.push(
    ["Channels", header.gray ? `${header.mode}, gray` : header.mode],
    ["Quality level", String(header.level)],
  );
  if (shown === null) return [...facts, ["Model", header.modelId]];
  const { region, milliseconds, fast } = shown;
  const part = shown.verified ? "" : `, ${region.width} \u00d7 ${region.height} of it`;
  facts.push(
    ["Decoded in", `${(milliseconds / 1000).toFixed(2)} s${part}${fast ? "" : ", without WebAssembly"}`],
    ["Model", `${shown.modelName} ${header.modelId}`],
    ...shown.metadata,
  );
  return facts;
}

function tab(entry: Entry): HTMLElement {
  const button = element("button", entry.name);
  button.title = entry.name;
  button.setAttribute("aria-current", String(entry === current));
  button.classList.toggle("bad", entry.error !== null);
  button.onclick = () => select(entry);
  return button;
}

function element(kind: string, text: string): HTMLElement {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

async function download(): Promise<void> {
  const entry = current;
  if (entry === null) return;
  busy(1);
  try {
    const png = await client.ask<Uint8Array<ArrayBuffer>>({ type: "png", bytes: entry.bytes }, (share) => (ui.progress.value = share));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    link.download = `${entry.name.replace(/\.intact$/, "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    notice = `${entry.name} was not written as PNG: ${messageOf(error)}`;
    render();
  } finally {
    busy(-1);
  }
}

const filesOf = (list: Iterable<File>): Given[] => [...list].map((file) => ({ name: file.name, bytes: bytesOf(file) }));

async function bytesOf(file: File): Promise<Uint8Array<ArrayBuffer>> {
  checkSize(file.size);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error("The browser cannot read this file: it is a folder, or it was moved or removed.");
  }
}

function checkSize(size: number): void {
  if (size > MOST_BYTES) throw new Error(`This file has ${bytesText(size)}, more than the browser can read at once.`);
}

/** The files that `intact view` serves beside the page. */
async function takeServed(): Promise<void> {
  const response = await fetch("files.json");
  if (!response.ok) throw new Error(`the answer is ${response.status}`);
  const listed = (await response.json()) as { name: string; url: string }[];
  await take(listed.map(({ name, url }) => ({ name, bytes: servedBytes(url) })));
}

async function servedBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const silent = () => {
    throw new Error("The server gives no answer, or only a part of one: does intact view still run?");
  };
  const response = await fetch(url).catch(silent);
  if (!response.ok) throw new Error("The server cannot read this file: it was moved or removed, or may not be read.");
  try {
    checkSize(Number(response.headers.get("Content-Length")));
  } catch (error) {
    void response.body?.cancel();
    throw error;
  }
  return new Uint8Array(await response.arrayBuffer().catch(silent));
}

ui.open.onchange = async () => {
  await take(filesOf(ui.open.files ?? []));
  ui.open.value = "";
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  ui.stage.classList.add("drop");
});
addEventListener("dragleave", () => ui.stage.classList.remove("drop"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  ui.stage.classList.remove("drop");
  await take(filesOf(event.dataTransfer?.files ?? []));
});
find("larger").onclick = () => viewer.scale(1.5);
find("smaller").onclick = () => viewer.scale(1 / 1.5);
find("fit").onclick = () => viewer.fit();
find("actual").onclick = () => viewer.actual();
ui.download.onclick = () => void download();
ui.stop.onclick = () => client.stop();
ui.slider.oninput = () => viewer.setSplit(Number(ui.slider.value) / 100);
ui.compare.onchange = () => {
  other = ui.compare.value === "" ? null : entries[Number(ui.compare.value)]!;
  notice = null;
  render();
  void work();
};
ui.part.onchange = () => {
  if (current === null) return;
  current.part = ui.part.checked;
  current.layer = null;
  current.shown = null;
  select(current);
};
ui.close.onclick = () => {
  const at = entries.indexOf(current!);
  if (at < 0) return;
  if (other === current) other = null;
  entries.splice(at, 1);
  current = null;
  const next = entries[Math.min(at, entries.length - 1)];
  if (next) select(next);
  else render();
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
  const keys: Record<string, () => void> = {
    "+": () => viewer.scale(1.5), "=": () => viewer.scale(1.5), "-": () => viewer.scale(1 / 1.5), "0": () => viewer.fit(), "1": () => viewer.actual(),
    ArrowLeft: () => viewer.pan(60, 0), ArrowRight: () => viewer.pan(-60, 0), ArrowUp: () => viewer.pan(0, 60), ArrowDown: () => viewer.pan(0, -60),
  };
  keys[event.key]?.();
});

document.body.dataset["state"] = "ready";
if (location.hash === "#view") {
  takeServed().catch((error: unknown) => {
    notice = `The list of files could not be read: ${messageOf(error)}.`;
    render();
  });
}
