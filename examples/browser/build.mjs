// `npm run build -- FILE.onnx` puts all that the page needs into dist/: any server of files can serve it.

import { cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const PAGE = ["index.html", "page.mjs", "classifier.mjs", "metadata.mjs"];
const RUNTIME = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Write dist/ anew. */
export async function build(model) {
  await rm(here("dist"), { recursive: true, force: true });
  await mkdir(here("dist"));
  for (const name of PAGE) await cp(here(name), here(`dist/${name}`));
  for (const name of RUNTIME) await cp(here(`node_modules/onnxruntime-web/dist/${name}`), here(`dist/${name}`));
  await cp(model, here("dist/model.onnx"));
  return here("dist");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [model] = process.argv.slice(2);
  if (!model) {
    console.error("which network? npm run build -- FILE.onnx");
    process.exit(2);
  }
  console.log(`${await build(model)} is ready: python -m http.server --directory dist`);
}
