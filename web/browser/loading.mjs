// How long the page of `intact view` takes, from its address to the page and to the picture; after make test-web's setup:
//   node browser/loading.mjs FILE.intact [PYTHON]
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { launch, settled } from "./setup.mjs";

const RUNS = 5;
const [file, python = "python"] = process.argv.slice(2);
const server = spawn(python, ["-m", "intact", "view", file, "--no-browser"], { stdio: ["ignore", "pipe", "inherit"] });
let address;
for await (const line of createInterface(server.stdout)) {
  [address] = line.match(/http:\/\/\S+/) ?? [];
  if (address) break;
}
if (!address) process.exit(1); // intact view has said why
const browser = await launch();
try {
  const rows = [];
  for (let run = 0; run < RUNS; run++) {
    const page = await (await browser.newContext()).newPage(); // nothing is cached
    const begin = performance.now();
    await page.goto(address, { waitUntil: "load" });
    const loaded = performance.now();
    await settled(page);
    const shown = performance.now();
    rows.push({ "page, s": (loaded - begin) / 1000, "picture, s": (shown - begin) / 1000, says: (await page.locator("#facts").innerText()).match(/[\d.]+ m?s/)?.[0] });
    await page.context().close();
  }
  console.table(rows);
} finally {
  await browser.close();
  server.kill();
}
