// How much memory work takes: of the process beyond what it had before, and the largest of WebAssembly's memories.
import { readFileSync } from "node:fs";

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

/** Prints as JSON what `work` took, which gives a report; `init` is not counted. Once in a process. */
export async function printMeasured(init, work) {
  await init();
  globalThis.gc?.();
  const before = peakOf("VmRSS");
  const started = performance.now();
  const { inputBytes, outputBytes } = await work();
  const seconds = (performance.now() - started) / 1000;
  const heap = Math.max(
    ...memories.map((exports) => {
      const memory = Object.values(exports).find((it) => it instanceof WebAssembly.Memory);
      return memory.buffer.byteLength;
    }),
  );
  console.log(
    JSON.stringify({ seconds, growth: peakOf("VmHWM") - before, heap, inputBytes, outputBytes }),
  );
}
