// Builds dist/intact.js (the package) and dist/parts.js (what tests look at). `npm run check` looks at types.
import { build } from "esbuild";

const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning", loader: { ".wasm": "binary" } };

await build({ ...common, entryPoints: ["src/index.ts"], outfile: "dist/intact.js" });
await build({ ...common, entryPoints: ["src/parts.ts"], outfile: "dist/parts.js" });
