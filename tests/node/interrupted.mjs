// node interrupted.mjs <options as JSON> <number of writes>: a shrink that kills itself within the write of
// that number, when half of its bytes are there.
import { open } from "node:fs/promises";
import { devNull } from "node:os";
import { shrink } from "modelshrink";

const { source, recipe, ...options } = JSON.parse(process.argv[2]);
const last = Number(process.argv[3]);
const handle = await open(devNull);
const prototype = Object.getPrototypeOf(handle);
await handle.close();
const { write, appendFile } = prototype;
let count = 0;
const dying = (original, halve) =>
  async function (...args) {
    if (++count < last) return original.apply(this, args);
    await original.apply(this, halve(args));
    process.kill(process.pid, "SIGKILL");
    return new Promise(() => undefined);
  };
prototype.write = dying(write, ([bytes, offset, length, at]) => [bytes, offset, length >> 1, at]);
prototype.appendFile = dying(appendFile, ([text]) => [text.slice(0, text.length >> 1)]);
await shrink(source, recipe, options);
