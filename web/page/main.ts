/** The page: files, the one that is shown, and what is known of it. */

import type { Header } from "../src/index.js";
import type { Region } from "../src/codec/decode.js";
import { Client, Refused } from "./client.js";
import type { Shown } from "./protocol.js";
import { Viewer, type Layer } from "./viewer.js";

interface Entry {
  name: string;
  /** Of an Intact file; empty for other pictures. */
  bytes: Uint8Array<ArrayBuffer>;
  header: Header | null;
  layer: Layer | null;
  shown: Shown | null;
  error: string | null;
  missing: boolean;
  /** Only what is seen is decoded. */
  part: boolean;
  size: [number, number] | null;
}

/** Pictures of more pixels, or with a longer side, are decoded by what is seen, unless one asks for more. */
const WHOLE_PIXELS = 2 ** 24;
const WHOLE_SIDE = 16384;

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const ui = {
  files: find("files"), open: find<HTMLInputElement>("open"), stage: find("stage"), empty: find("empty"), view: find("view"),
  panel: find("panel"), message: find("message"), verdict: find("verdict"), facts: find("facts"),
  compare: find<HTMLSelectElement>("compare"), sliderField: find("sliderField"), slider: find<HTMLInputElement>("slider"),
  part: find<HTMLInputElement>("part"), zoom: find("zoom"), progress: find<HTMLProgressElement>("progress"),
  download: find<HTMLButtonElement>("download"), tools: find("tools"), stop: find("stop"), nameOver: find("nameOver"), nameUnder: find("nameUnder"),
};

const client = new Client();
const entries: Entry[] = [];
let current: Entry | null = null;
let other: Entry | null = null;
let running = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

const viewer = new Viewer(() => {
  ui.zoom.textContent = viewer.zoomText;
  ui.slider.value = String(viewer.splitShare * 100);
  if (current?.part) {
    clearTimeout(timer);
    timer = setTimeout(() => void decodeSeen(), 120);
  }
});

const pixelsOf = (header: Header) => header.width * header.height;
const isLarge = (header: Header) => pixelsOf(header) > WHOLE_PIXELS || Math.max(header.width, header.height) > WHOLE_SIDE;
const begins = (bytes: Uint8Array, ...magic: number[]) => magic.every((byte, i) => bytes[i] === byte);

interface Given {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Take files, of whatever kind they are; the first picture among them is shown. */
async function take(given: Promise<Given[]>): Promise<void> {
  busy(1);
  try {
    await takeAll(await given);
  } finally {
    busy(-1);
  }
}

async function takeAll(files: Given[]): Promise<void> {
  let first: Entry | null = null;
  for (const { name, bytes } of files) {
    if (begins(bytes, 0xcd, 0x49, 0x4e, 0x54)) {
      await addModel(name, bytes);
      continue;
    }
    const entry: Entry = {
      name, bytes, header: null, layer: null, shown: null, error: null, missing: false, part: false, size: null,
    };
    try {
      if (begins(bytes, 0xc9, 0x49, 0x4e, 0x54) || name.endsWith(".intact")) {
        entry.header = await client.ask<Header>({ type: "peek", bytes });
        entry.part = isLarge(entry.header);
        entry.size = [entry.header.width, entry.header.height];
      } else {
        await readPicture(entry);
      }
    } catch (error) {
      fail(entry, error);
    }
    entries.push(entry);
    first ??= entry;
  }
  if (first !== null) select(first);
  else render();
}

async function addModel(name: string, bytes: Uint8Array): Promise<void> {
  try {
    const { id } = await client.addModel(bytes);
    for (const entry of entries) {
      if (entry.missing && entry.header?.modelId === id) {
        entry.error = null;
        entry.missing = false;
      }
    }
    if (current) select(current);
  } catch (error) {
    ui.message.hidden = false;
    ui.panel.hidden = false;
    ui.message.textContent = `${name}: ${error instanceof Error ? error.message : error}`;
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
  entry.layer = { canvas: canvasOf(bitmap), region: { x: 0, y: 0, width: bitmap.width, height: bitmap.height } };
}

function canvasOf(bitmap: ImageBitmap): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  return canvas;
}

async function layerOf(shown: Shown): Promise<Layer> {
  const { region, rgba, colored } = shown;
  if (colored !== null) {
    const bitmap = await createImageBitmap(new Blob([colored], { type: "image/png" })).catch(() => null);
    if (bitmap !== null) return { canvas: canvasOf(bitmap), region };
  }
  const canvas = document.createElement("canvas");
  canvas.width = region.width;
  canvas.height = region.height;
  canvas.getContext("2d")!.putImageData(new ImageData(rgba, region.width, region.height), 0, 0);
  return { canvas, region };
}

function fail(entry: Entry, error: unknown): void {
  entry.error = error instanceof Error ? error.message : String(error);
  entry.missing = error instanceof Refused && error.failure.verdict === "model-missing";
}

/** Decode a file, or a part of it. */
async function decode(entry: Entry, region?: Region): Promise<void> {
  busy(1);
  try {
    const request = { type: "decode" as const, bytes: entry.bytes, ...(region && { region }) };
    const shown = await client.ask<Shown>(request, (share) => (ui.progress.value = share));
    entry.layer = await layerOf(shown);
    shown.rgba = new Uint8ClampedArray(0); // the canvas has it
    shown.colored = null;
    entry.shown = shown;
    entry.error = null;
  } catch (error) {
    fail(entry, error);
  } finally {
    busy(-1);
  }
  render();
}

async function decodeSeen(): Promise<void> {
  const entry = current;
  const region = viewer.visible();
  if (entry === null || !entry.part || region === null || entry.error !== null || running > 0) {
    if (running > 0) timer = setTimeout(() => void decodeSeen(), 120);
    return;
  }
  const have = entry.layer?.region;
  const covered = have !== undefined && have.x <= region.x && have.y <= region.y
    && have.x + have.width >= region.x + region.width && have.y + have.height >= region.y + region.height;
  if (!covered) await decode(entry, region);
}

function busy(change: number): void {
  running += change;
  ui.progress.hidden = ui.stop.hidden = running === 0;
  if (change > 0) ui.progress.value = 0;
  document.body.dataset["state"] = running ? "busy" : "ready";
}

function select(entry: Entry): void {
  current = entry;
  if (other === entry) other = null;
  render();
  if (entry.size) viewer.setSize(...entry.size);
  if (entry.part && entry.layer === null && entry.header && isLarge(entry.header)) viewer.actual();
  if (entry.layer === null && entry.error === null && !entry.part) void decode(entry);
  if (entry.part) void decodeSeen();
}

function render(): void {
  ui.empty.hidden = entries.length > 0;
  ui.panel.hidden = entries.length === 0;
  ui.view.hidden = current === null || current.error !== null;
  ui.files.replaceChildren(...entries.map(tab));
  if (current === null) return;
  const { header, shown, error, layer } = current;
  ui.message.hidden = error === null;
  ui.message.textContent = error ?? "";
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
  const comparing = other !== null;
  ui.sliderField.hidden = ui.nameOver.hidden = ui.nameUnder.hidden = !comparing;
  ui.nameOver.textContent = current?.name ?? "";
  ui.nameUnder.textContent = other?.name ?? "";
}

function factsOf({ name, bytes, header, shown, size }: Entry): [string, string][] {
  const facts: [string, string][] = [["File", name]];
  if (size) facts.push(["Picture", `${size[0]} \u00d7 ${size[1]} pixels`]);
  if (header === null) return facts;
  facts.push(
    ["Size", `${bytes.length.toLocaleString("en")} bytes`],
    ["Rate", `${((8 * bytes.length) / pixelsOf(header)).toFixed(3)} bits per pixel`],
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
    ui.message.hidden = false;
    ui.message.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    busy(-1);
  }
}

const filesOf = (list: Iterable<File>) =>
  Promise.all([...list].map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));

/** The files that `intact view` serves beside the page. */
async function takeServed(): Promise<void> {
  const response = await fetch("files.json");
  if (!response.ok) throw new Error(`the list of files: ${response.status}`);
  const listed = (await response.json()) as { name: string; url: string }[];
  const read = async ({ name, url }: { name: string; url: string }) => {
    const file = await fetch(url);
    if (!file.ok) throw new Error(`${name}: ${file.status}`);
    return { name, bytes: new Uint8Array(await file.arrayBuffer()) };
  };
  await take(Promise.all(listed.map(read)));
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
  render();
  if (other && other.layer === null && !other.part) void decode(other);
};
ui.part.onchange = () => {
  if (current === null) return;
  current.part = ui.part.checked;
  current.layer = null;
  current.shown = null;
  select(current);
};
find("close").onclick = () => {
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
    ui.panel.hidden = false;
    ui.message.hidden = false;
    ui.message.textContent = `The files could not be read: ${error instanceof Error ? error.message : error}.`;
  });
}
