// Builds dist/: intact.js (the package), parts.js (what tests look at), page/ (static files; models/ beside it).
// `npm run types` writes the package's types, `npm run check` looks at all types.
import { build } from "esbuild";
import { copyFileSync, mkdirSync } from "node:fs";
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
