/** Compiles the core's binary on Node.js, where `fetch` does not read files. */
import { readFile } from "node:fs/promises";
import { ModelShrinkError } from "../base/errors.js";

/** Reads and compiles a binary; an "io" error when it cannot be read. */
export async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === "file:") return WebAssembly.compile(await readFile(url));
  const response = await fetch(url);
  if (!response.ok) {
    throw new ModelShrinkError(`${url.href} gave HTTP status ${response.status}.`, "io");
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
