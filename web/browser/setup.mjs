// Chromium, and a server of static files as any web server would be: the built page with some models beside it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { peekModelId } from "../dist/parts.js";
import { VECTORS } from "../test/vectors.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
// blank.html is a page without a policy, for tests of the package.
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css" };
export const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

/** Serves dist/ and vectors/, models by their id beside the page, and `files` by their path. */
export async function serve(models, files) {
  const known = new Map(models.map((bytes) => [`/page/models/${peekModelId(bytes)}.intactm`, bytes]));
  const server = createServer(async ({ url }, response) => {
    const path = decodeURIComponent(url.split("?")[0]);
    const file = path.startsWith("/vectors/") ? VECTORS + path.slice(9) : DIST + path.slice(1) + (path.endsWith("/") ? "index.html" : "");
    const body = path === "/blank.html" ? "<!doctype html>" : known.get(path) ?? files[path] ?? (await readFile(file).catch(() => null));
    response.writeHead(body ? 200 : 404, { "Content-Type": TYPES[file.split(".").pop()] ?? "application/octet-stream" });
    response.end(body ?? "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

/** Until nothing is being decoded and the page says something of the file. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const { textContent } = document.querySelector("#verdict");
    const message = document.querySelector("#message");
    return document.body.dataset.state === "ready" && (textContent !== "" || !message.hidden);
  }, null, { timeout: 60_000 });
}
