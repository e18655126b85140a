/** Compiles the core's binary on Node.js, where `fetch` does not read files. */
import { readFile } from "node:fs/promises";
import { ModelShrinkError, statusError } from "../base/errors.js";

/** Reads and compiles a binary; an "io" error when it cannot be read. */
export async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === "file:") return WebAssembly.compile(await readFile(url));
  const response = await fetch(url);
  if (!response.ok) throw statusError(url.href, response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/** Reads and compiles a binary of the package, which lies in the package. */
export async function compileOwn(url: URL): Promise<WebAssembly.Module> {
  try {
    return await compileUrl(url);
  } catch (cause) {
    throw new ModelShrinkError(
      `The core could not be loaded from ${url.href}. Leave modelshrink out of a server's bundle ` +
        `(Next.js: serverExternalPackages), or call init({ wasm }). ${String(cause)}`,
      "io",
      { cause },
    );
  }
}

/** Reads and compiles the whole core. */
export const compileWhole = (simd: boolean): Promise<WebAssembly.Module> =>
  // Each URL is spelled out, so that bundlers and tools that trace files see both.
  compileOwn(
    simd
      ? new URL("../wasm/simd.wasm", import.meta.url)
      : new URL("../wasm/baseline.wasm", import.meta.url),
  );
