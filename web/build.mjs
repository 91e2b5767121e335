// Builds dist/: intact.js (the package), parts.js (what tests look at), page/ (static files, also in src/intact/web/page),
// and with --site site/: the page with the package's models beside it, for any web server.
// `npm run types` writes the package's types, `npm run check` looks at all types.
import { build } from "esbuild";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));
const common = {
  bundle: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none", logLevel: "warning", loader: { ".wasm": "binary" },
};
await build({ ...common, entryPoints: ["src/index.ts"], outfile: "dist/intact.js" });
await build({ ...common, entryPoints: ["src/parts.ts"], outfile: "dist/parts.js" });
await build({ ...common, entryPoints: ["page/main.ts", "page/worker.ts"], outdir: "dist/page", minify: true });
mkdirSync("dist/page", { recursive: true });
for (const name of ["index.html", "style.css"]) copyFileSync(`page/${name}`, `dist/page/${name}`);

if (process.argv.includes("--site")) {
  const { peekModelId } = await import("./dist/parts.js");
  const models = "../src/intact/models/";
  cpSync("dist/page", "dist/site", { recursive: true });
  mkdirSync("dist/site/models", { recursive: true });
  for (const name of readdirSync(models).filter((name) => name.endsWith(".intactm"))) {
    copyFileSync(models + name, `dist/site/models/${peekModelId(readFileSync(models + name))}.intactm`);
  }
}
