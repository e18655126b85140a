/** Node.js. */
import { readFile } from "node:fs/promises";
import { ModelShrinkError } from "../base/errors.js";
import type { Platform } from "./platform.js";

export { openPath } from "../files/node/file-source.js";
export { pathTarget } from "../files/node/file-target.js";
export { poolPort, startWorker } from "../models/threads-node.js";

export const compileUrl: Platform["compileUrl"] = async (url) => {
  if (url.protocol === "file:") return WebAssembly.compile(await readFile(url));
  const response = await fetch(url);
  if (!response.ok) {
    throw new ModelShrinkError(`${url.href} gave HTTP status ${response.status}.`, "io");
  }
  return WebAssembly.compile(await response.arrayBuffer());
};
