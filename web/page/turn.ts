/** EXIF's orientation: how a picture is turned to be looked at. What a file holds, and a checksum covers, is not turned. */

import type { Region } from "../src/codec/decode.js";
import { canvasOf } from "./canvas.js";

/** x' = a x + c y + e, y' = b x + d y + f, as a canvas takes it. */
type Matrix = readonly [number, number, number, number, number, number];

/** From pixels that are held to pixels that are shown, of `width` x `height` held ones; TIFF 6.0, "Orientation". */
function matrixOf(orientation: number, width: number, height: number): Matrix {
  switch (orientation) {
    case 2: return [-1, 0, 0, 1, width, 0];
    case 3: return [-1, 0, 0, -1, width, height];
    case 4: return [1, 0, 0, -1, 0, height];
    case 5: return [0, 1, 1, 0, 0, 0];
    case 6: return [0, 1, -1, 0, height, 0];
    case 7: return [0, -1, -1, 0, height, width];
    case 8: return [0, -1, 1, 0, 0, width];
    default: return [1, 0, 0, 1, 0, 0];
  }
}

/** Width and height of a picture as it is shown; from those that are shown, as it is held. */
export function turnedSize(orientation: number, width: number, height: number): [number, number] {
  return orientation > 4 ? [height, width] : [width, height];
}

/** The pixels that are held of a region as it is shown, in a picture of `width` x `height` pixels held. */
export function heldRegion(orientation: number, shown: Region, width: number, height: number): Region {
  const [a, b, c, d, e, f] = matrixOf(orientation, width, height);
  // The matrix but for e and f is its own inverse's transpose: signs and a swap.
  const back = (x: number, y: number) => [a * (x - e) + b * (y - f), c * (x - e) + d * (y - f)] as const;
  const [x0, y0] = back(shown.x, shown.y);
  const [x1, y1] = back(shown.x + shown.width, shown.y + shown.height);
  return { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
}

/** A canvas, turned; itself where nothing is to be done. */
export function turned(canvas: HTMLCanvasElement, orientation: number): HTMLCanvasElement {
  if (orientation === 1) return canvas;
  return canvasOf(...turnedSize(orientation, canvas.width, canvas.height), (context) => {
    context.setTransform(...matrixOf(orientation, canvas.width, canvas.height));
    context.drawImage(canvas, 0, 0);
  });
}
