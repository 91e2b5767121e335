/** Canvases with something on them. A browser gives one that is too large without a word, and draws nothing on it. */

/** The browser has no canvas of this size; `message` is a sentence. */
export class NoCanvas extends Error {
  constructor(width: number, height: number) {
    super(`The browser cannot show ${width} \u00d7 ${height} pixels at once.`);
  }
}

/** A canvas of this size, drawn; throws NoCanvas where nothing can be drawn on it. */
export function canvasOf(width: number, height: number, draw: (context: CanvasRenderingContext2D) => void): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  if (context === null || !holds(context, width - 1, height - 1)) throw new NoCanvas(width, height);
  draw(context);
  return canvas;
}

/** Whether a pixel of an empty canvas can be drawn; it is empty again. */
function holds(context: CanvasRenderingContext2D, x: number, y: number): boolean {
  try {
    context.fillRect(x, y, 1, 1);
    return context.getImageData(x, y, 1, 1).data[3] === 255;
  } catch {
    return false;
  } finally {
    context.clearRect(x, y, 1, 1);
  }
}
