// Holds src/ and bindings/js/ to their layers: a folder includes only itself and folders above it, and no files import
// each other in a circle, types included. A folder of tests/ imports only itself and tests/support, scripts/ only
// those two.
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { root } from "../tests/support/run.mjs";

/** The folders of src/ and those that each may include (src/README.md). */
const allowed = {
  base: [],
  kernels: ["base"],
  linalg: ["base", "kernels"],
  quantize: ["base", "kernels"],
  prune: ["base", "kernels"],
  sparse: ["base", "kernels"],
  pack: ["base", "kernels"],
  calibrated: ["base", "kernels", "linalg", "quantize", "prune", "pack"],
  formats: ["base", "quantize", "prune"],
  pipeline: ["base", "kernels", "quantize", "prune", "calibrated", "pack", "formats"],
};

/** Folders of src/formats that every format may include. */
const sharedFormats = ["json"];

/** The folders of src/formats/onnx, from top to bottom; what lies in onnx itself includes them all. */
const onnxFolders = ["read", "graph", "channels", "write"];

/** The folders of bindings/js, from top to bottom; "" holds the public doors. */
const layers = [
  "base",
  "core",
  "arrays",
  "files",
  "recipe",
  "models",
  "pack",
  "runtime",
  "layout",
  "cache",
  "",
  "cli",
];

/** The modules behind the imports that package.json maps, by condition. */
const { imports } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
const toSource = (path) => path.replace("./dist/", "bindings/js/").replace(/\.js$/, ".ts");
const aliases = Object.fromEntries(
  Object.entries(imports).map(([name, targets]) => [name, Object.values(targets).map(toSource)]),
);

async function filesOf(folder, pattern) {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length))
    .sort();
}

/**
 * Why a file of src/formats may not include this, or undefined: a format includes no other format,
 * and only open.cc chooses among them. Both paths begin at "formats/".
 */
function formatProblem(path, include) {
  const [, format, folder] = path.split("/").length > 2 ? path.split("/") : [];
  const [, target, targetFolder] = include.split("/");
  if (!include.startsWith("formats/") || target.includes(".")) return undefined;
  if (target !== format) {
    if (path === "formats/open.cc" || sharedFormats.includes(target)) return undefined;
    return `${format ?? "formats"} may not include ${include}`;
  }
  if (format !== "onnx") return undefined;
  const rank = (name) => (name.includes(".") ? onnxFolders.length : onnxFolders.indexOf(name));
  return rank(targetFolder) > rank(folder) || rank(folder) < 0
    ? `onnx/${folder} may not include ${include}`
    : undefined;
}

/** The sentences on one C++ file that breaks the rules. */
function includeProblems(path, layer, text) {
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
    const wrong = layer === "formats" && formatProblem(path.slice("src/".length), include);
    if (wrong) found.push(`${path}:${index + 1}: ${wrong}`);
  }
  return found;
}

/** The layer of a TypeScript file; the command's entry belongs to its folder. */
function layerOf(path) {
  const [first, ...rest] = path.slice("bindings/js/".length).split("/");
  if (rest.length > 0) return first;
  return first === "cli.ts" ? "cli" : "";
}

/** The files that a TypeScript file imports, types included; those of other packages left out. */
function importsOf(path, text) {
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, it]) => it);
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith("#")) return aliases[specifier] ?? [];
    if (!specifier.startsWith(".")) return [];
    return [normalize(join(dirname(path), specifier)).replace(/\.(m?)js$/, ".$1ts")];
  });
}

/** One sentence for each circle that a walk from every file meets. */
function circles(graph) {
  const found = [];
  const isDone = new Set();
  const visit = (path, trail) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push(`import circle: ${[...trail.slice(start), path].join(" → ")}`);
    } else if (!isDone.has(path)) {
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      isDone.add(path);
    }
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

async function typeScriptProblems() {
  const graph = new Map();
  const found = [];
  for (const path of await filesOf("bindings/js", /\.ts$/)) {
    const own = layerOf(path);
    if (!layers.includes(own)) found.push(`${path}: "${own}" is no layer of check-layers.mjs`);
    const targets = importsOf(path, await readFile(join(root, path), "utf8"));
    graph.set(path, targets);
    for (const target of targets) {
      const other = layerOf(target);
      if (layers.indexOf(other) > layers.indexOf(own)) {
        found.push(`${path}: ${own || "a door"} may not import ${target}`);
      }
    }
  }
  return [...found, ...circles(graph)];
}

/** Tests and scripts share helpers through tests/support, which imports neither. */
async function scriptProblems() {
  const found = [];
  const paths = [...(await filesOf("scripts", /\.mjs$/)), ...(await filesOf("tests", /\.mjs$/))];
  for (const path of paths) {
    const home = path.startsWith("scripts/") ? "scripts" : path.split("/", 2).join("/");
    const targets = importsOf(path, await readFile(join(root, path), "utf8"));
    for (const target of targets.filter((it) => /^(tests|scripts)\//.test(it))) {
      if (!target.startsWith(`${home}/`) && !target.startsWith("tests/support/")) {
        found.push(`${path}: ${home} may not import ${target.replace(/\.mts$/, ".mjs")}`);
      }
    }
  }
  return found;
}

async function cppProblems() {
  const found = [];
  for (const layer of Object.keys(allowed)) {
    for (const path of await filesOf(`src/${layer}`, /\.(h|cc)$/)) {
      found.push(...includeProblems(path, layer, await readFile(join(root, path), "utf8")));
    }
  }
  return found;
}

const all = [
  ...(await cppProblems()),
  ...(await typeScriptProblems()),
  ...(await scriptProblems()),
];
for (const problem of all) console.log(problem);
process.exitCode = all.length ? 1 : 0;
