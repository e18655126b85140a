// `node scripts/large-models.mjs [GB] [--write] [--zip]`: shrinks a 6 GB safetensors file, a 6 GB GGUF file and an ONNX model with
// 3 GB of external data (or that many GB each), in Node.js and in Chromium, prunes the first one in several ways,
// and prints the memory that it took. The files are sparse. With --zip the demo page makes a zip file of 4.6 GB instead.
// --write puts what Chromium took into docs/performance.md, with the shrinking cache's first load of a GGUF file and an
// ONNX model, which tests/browser/memory.test.mjs holds to its goal.
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { maxTabBytes, measureCached } from "../tests/support/cached-in-chromium.mjs";
import * as inChromium from "../tests/support/large-in-chromium.mjs";
import * as inNode from "../tests/support/large-in-node.mjs";
import { makeLargeZip } from "../tests/support/zip-in-chromium.mjs";
import { machineName, writeMeasured } from "../tests/support/docs.mjs";
import { markdownTable } from "../tests/support/markdown-table.mjs";

const models = [
  { format: "safetensors", recipe: "int8", size: 6e9 },
  { format: "gguf", recipe: "Q8_0", size: 6e9 },
  { format: "onnx", recipe: "int8", size: 3e9 },
];

/** Pruning that looks at all weights before it writes any, and what counts zeros. */
const prunings = [
  { prune: { method: "magnitude", sparsity: 0.5, allocation: "global" } },
  { prune: { method: "magnitude", sparsity: 0.5, allocation: "lamp" } },
  { prune: { method: "n:m", n: 2, m: 4 }, sparse: true },
];

/** Whether it kept within the bounds. */
function show(where, { format }, { seconds, growth, heap, longest, inputBytes }, bounds) {
  const isWithin = heap <= bounds.maxHeap && growth <= bounds.maxGrowth;
  console.log(
    `${isWithin ? "✔" : "✖"} ${where}, ${format}: ` +
      `${(inputBytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s; ` +
      `heap ${(heap / 2 ** 20).toFixed(1)} MiB of ${bounds.maxHeap / 2 ** 20}, ` +
      `process +${(growth / 1e6).toFixed(0)} MB of ${bounds.maxGrowth / 1e6}` +
      (longest === undefined ? "" : `; longest task ${longest.toFixed(0)} ms of the page's 50`),
  );
  return isWithin;
}

const { values, positionals } = parseArgs({
  options: { write: { type: "boolean" }, zip: { type: "boolean" } },
  allowPositionals: true,
});
const gigabytes = positionals[0] === undefined ? undefined : Number(positionals[0]);
const longestText = (longest) => (longest < 50 ? "none" : longest.toFixed(0));
/** The rows of the two tables of docs/performance.md. */
const tasks = [];
const loads = [];
let isWithin = true;
for (const model of values.zip ? [] : models) {
  const size = gigabytes === undefined ? model.size : gigabytes * 1e9;
  const result = await inNode.checkLarge({ ...model, folder: tmpdir(), size });
  isWithin = show("Node.js", model, result, inNode) && isWithin;
  const inPage = await inChromium.measureInChromium({ ...model, size });
  isWithin = show("Chromium", model, inPage, inChromium) && isWithin;
  tasks.push([
    ...[`${model.format}, ${model.recipe}`, (inPage.inputBytes / 1e9).toFixed(2)],
    ...[inPage.seconds.toFixed(1), (inPage.heap / 2 ** 20).toFixed(0)],
    ...[(inPage.growth / 1e6).toFixed(0), longestText(inPage.longest)],
  ]);
}
for (const recipe of values.zip ? [] : prunings) {
  const size = gigabytes === undefined ? 6e9 : gigabytes * 1e9;
  const result = await inNode.measurePruning({ recipe, folder: tmpdir(), size });
  const what = { format: `safetensors, ${JSON.stringify(recipe)}` };
  isWithin = show("Node.js", what, result, inNode) && isWithin;
}
for (const { format, recipe } of values.write ? models.slice(1) : []) {
  const size = (gigabytes ?? 1) * 1e9;
  const loaded = await measureCached({ format, recipe, size });
  const { seconds, longest, inputBytes, tab, browser } = loaded;
  const most = maxTabBytes(inputBytes);
  isWithin &&= tab <= most;
  loads.push([
    ...[`${format}, ${recipe}`, (inputBytes / 1e9).toFixed(2), seconds.toFixed(1)],
    ...[(tab / 1e6).toFixed(0), (most / 1e6).toFixed(0), (browser / 1e6).toFixed(0)],
    longestText(longest),
  ]);
  console.log(
    `${tab <= most ? "✔" : "✖"} Chromium, the cache's first load, ${format}: ` +
      `${(inputBytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s; ` +
      `tab +${(tab / 1e6).toFixed(0)} MB of ${(most / 1e6).toFixed(0)}, browser process +${(browser / 1e6).toFixed(0)} MB`,
  );
}
if (values.zip) {
  const { seconds, bytes, growth } = await makeLargeZip();
  const isSmall = growth <= inChromium.maxGrowth;
  isWithin &&= isSmall;
  console.log(
    `${isSmall ? "✔" : "✖"} Chromium, a zip file of the demo page: ${(bytes / 1e9).toFixed(2)} GB in ` +
      `${seconds.toFixed(1)} s, read by Python; processes +${(growth / 1e6).toFixed(0)} MB of ${inChromium.maxGrowth / 1e6}`,
  );
}
if (values.write) {
  const task = "longest task over 50 ms, ms";
  const growth = ["of the heap, MiB", "of the processes, MB", task];
  const shrinking = markdownTable(["a file in a page", "GB", "s", ...growth], tasks);
  const room = ["tab, MB", "goal, MB", "browser process, MB", task];
  const loading = markdownTable(["the cache's first load", "GB", "s", ...room], loads);
  await writeMeasured("tab", `Measured on ${machineName()}.\n\n${shrinking}\n\n${loading}`);
}
if (!isWithin) {
  console.error("Over the bounds.");
  process.exitCode = 1;
}
