// node measured-shrink.mjs <model> <recipe or JSON> <output> [<workers>]: shrinks, and prints as JSON how much memory
// that took: of the process beyond what it had before, and the largest of WebAssembly's memories.
import { readFileSync } from "node:fs";
import { init, shrink } from "modelshrink";

const [, , model, words, sink, workers] = process.argv;
const recipe = words.startsWith("{") ? JSON.parse(words) : words;

/** In bytes, from the kernel: its own high-water mark, which sampling could miss. */
const peakOf = (field) =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))[1]) *
  1024;

const memories = [];
const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const instance = new Instance(module, imports);
  memories.push(instance.exports);
  return instance;
};
await init();
globalThis.gc?.();
const before = peakOf("VmRSS");
const started = performance.now();
const { report } = await shrink(model, recipe, {
  sink,
  ...(workers === undefined ? {} : { workers: Number(workers) }),
});
const seconds = (performance.now() - started) / 1000;
const heap = Math.max(
  ...memories.map((exports) => {
    const memory = Object.values(exports).find((it) => it instanceof WebAssembly.Memory);
    return memory.buffer.byteLength;
  }),
);
const { inputBytes, outputBytes } = report;
console.log(
  JSON.stringify({ seconds, growth: peakOf("VmHWM") - before, heap, inputBytes, outputBytes }),
);
