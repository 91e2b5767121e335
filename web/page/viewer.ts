/** The stage: one picture, or two with a divider, moved and zoomed together. */

import type { Region } from "../src/codec/decode.js";

/** A canvas and which part of the picture it shows. */
export interface Layer {
  canvas: HTMLCanvasElement;
  region: Region;
}

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** Pixels of a side that are asked for at most, where only what is seen is decoded. */
const MOST_SEEN = 2048;

export class Viewer {
  private readonly view = find("view");
  private readonly divider = find("divider");
  private readonly slots = { over: find<HTMLCanvasElement>("over"), under: find<HTMLCanvasElement>("under") };
  private readonly layers: { over: Layer | null; under: Layer | null } = { over: null, under: null };
  private width = 1;
  private height = 1;
  private x = 0;
  private y = 0;
  private zoom = 1;
  private fitted = true;
  private split = 0.5;
  private readonly pointers = new Map<number, [number, number]>();
  private dividing = false;

  /** @param changed called after the visible part has changed. */
  constructor(private readonly changed: () => void) {
    const { view } = this;
    view.addEventListener("pointerdown", (event) => this.down(event));
    view.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"] as const) view.addEventListener(type, (event) => this.up(event));
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = view.getBoundingClientRect();
      this.scale(Math.exp(-clamp(event.deltaY, -100, 100) / 300), event.clientX - left, event.clientY - top);
    }, { passive: false });
    view.addEventListener("dblclick", () => (this.fitted ? this.actual() : this.fit()));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.draw())).observe(view);
  }

  /** The picture's size; keeps the position where that stays. */
  setSize(width: number, height: number): void {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.fit();
  }

  setLayer(which: "over" | "under", layer: Layer | null): void {
    this.layers[which] = layer;
    const old = this.slots[which];
    const next = layer?.canvas ?? document.createElement("canvas");
    next.id = which;
    next.hidden = layer === null;
    old.replaceWith(next);
    this.slots[which] = next;
    this.draw();
  }

  setSplit(share: number): void {
    this.split = share;
    this.draw();
  }

  /** Whether the divider is shown, over two layers. */
  get comparing(): boolean {
    return this.layers.over !== null && this.layers.under !== null;
  }

  get zoomText(): string {
    return `${this.zoom < 0.1 ? (this.zoom * 100).toFixed(1) : Math.round(this.zoom * 100)} %`;
  }

  get splitShare(): number {
    return this.split;
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.view;
    if (clientWidth === 0) return;
    this.zoom = Math.min(clientWidth / this.width, clientHeight / this.height);
    if (this.zoom > 1) this.zoom = Math.min(Math.floor(this.zoom), 8);
    this.x = (clientWidth - this.width * this.zoom) / 2;
    this.y = (clientHeight - this.height * this.zoom) / 2;
    this.fitted = true;
    this.draw();
  }

  actual(): void {
    this.scale(1 / this.zoom);
  }

  /** Zoom by a factor about a point of the view. */
  scale(factor: number, x = this.view.clientWidth / 2, y = this.view.clientHeight / 2): void {
    const smallest = Math.min(1, 32 / Math.max(this.width, this.height));
    const zoom = clamp(this.zoom * factor, smallest, 64);
    this.x = x - ((x - this.x) / this.zoom) * zoom;
    this.y = y - ((y - this.y) / this.zoom) * zoom;
    this.zoom = zoom;
    this.fitted = false;
    this.draw();
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.draw();
  }

  /** What of the picture is in view, at most 2048 pixels to a side; null if nothing is. */
  visible(): Region | null {
    const side = (offset: number, view: number, length: number): [number, number] => {
      let from = clamp(Math.floor(-offset / this.zoom), 0, length);
      let to = clamp(Math.ceil((view - offset) / this.zoom), 0, length);
      if (to - from > MOST_SEEN) {
        from = Math.floor((from + to - MOST_SEEN) / 2);
        to = from + MOST_SEEN;
      }
      return [from, to - from];
    };
    const [x, width] = side(this.x, this.view.clientWidth, this.width);
    const [y, height] = side(this.y, this.view.clientHeight, this.height);
    return width > 0 && height > 0 ? { x, y, width, height } : null;
  }

  private draw(): void {
    const { clientWidth, clientHeight } = this.view;
    const spare = 40; // a picture cannot be lost out of sight
    this.x = clamp(this.x, spare - this.width * this.zoom, clientWidth - spare);
    this.y = clamp(this.y, spare - this.height * this.zoom, clientHeight - spare);
    const at = this.split * clientWidth;
    for (const which of ["over", "under"] as const) {
      const layer = this.layers[which];
      if (layer === null) continue;
      const { canvas, region } = layer;
      const scale = [(this.zoom * region.width) / canvas.width, (this.zoom * region.height) / canvas.height] as const;
      const left = this.x + region.x * this.zoom;
      canvas.style.transform = `translate(${left}px, ${this.y + region.y * this.zoom}px) scale(${scale[0]}, ${scale[1]})`;
      canvas.classList.toggle("sharp", this.zoom >= 2);
      const shown = clamp((at - left) / scale[0], 0, canvas.width);
      // Both are cut, so that neither shows through where the other is transparent.
      if (!this.comparing) canvas.style.clipPath = "";
      else if (which === "over") canvas.style.clipPath = `inset(0 ${canvas.width - shown}px 0 0)`;
      else canvas.style.clipPath = `inset(0 0 0 ${shown}px)`;
    }
    this.divider.hidden = !this.comparing;
    this.divider.style.left = `${at - 1}px`;
    this.changed();
  }

  private down(event: PointerEvent): void {
    this.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const { left } = this.view.getBoundingClientRect();
    this.dividing = this.comparing && Math.abs(event.clientX - left - this.split * this.view.clientWidth) < 20;
    this.view.classList.add("moving");
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return;
    const now: [number, number] = [event.clientX, event.clientY];
    const { left, top, width } = this.view.getBoundingClientRect();
    if (this.dividing) {
      this.setSplit(clamp((now[0] - left) / width, 0, 1));
    } else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)![1];
      const far = (p: [number, number]) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      this.scale(far(now) / Math.max(far(before), 1), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
    } else {
      this.pan(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    this.dividing &&= this.pointers.size > 0;
    if (this.pointers.size === 0) this.view.classList.remove("moving");
  }
}
