// Holds src/ to its layers: a folder includes only itself and what its entry here names (src/README.md).
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./run.mjs";

const allowed = {
  base: [],
  kernels: ["base"],
  linalg: ["base", "kernels"],
  quantize: ["base", "kernels"],
  prune: ["base", "kernels"],
  calibrated: ["base", "kernels", "linalg", "quantize", "prune"],
  sparse: ["base", "kernels"],
  formats: ["base", "quantize", "prune"],
  pipeline: ["base", "kernels", "quantize", "prune", "calibrated", "formats"],
};

async function sources(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(h|cc)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** The sentences on one file that break the rules. */
function problems(path, layer, text) {
  const found = [];
  for (const [index, line] of text.split("\n").entries()) {
    const include = /^\s*#\s*include\s*[<"]([^">]+)[">]/.exec(line)?.[1];
    if (!include) continue;
    const target = include.split("/")[0];
    const known = Object.hasOwn(allowed, target);
    if (include.startsWith("emscripten")) {
      found.push(`${path}:${index + 1}: only bindings/wasm may include ${include}`);
    } else if (
      include.startsWith("..") ||
      (known && target !== layer && !allowed[layer].includes(target))
    ) {
      found.push(`${path}:${index + 1}: ${layer} may not include ${include}`);
    } else if (
      layer !== "kernels" &&
      include.startsWith("hwy/") &&
      !include.endsWith("targets.h")
    ) {
      found.push(`${path}:${index + 1}: SIMD belongs in kernels, not in ${layer}`);
    }
  }
  return found;
}

const all = [];
for (const layer of Object.keys(allowed)) {
  for (const path of await sources(join(root, "src", layer))) {
    all.push(...problems(path.slice(root.length), layer, await readFile(path, "utf8")));
  }
}
for (const problem of all) console.log(problem);
process.exitCode = all.length ? 1 : 0;
