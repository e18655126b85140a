/** Compiles the core's binary in browsers, workers and edge runtimes. */
import { ModelShrinkError, statusError } from "../base/errors.js";

/** Fetches and compiles a binary; an "io" error when it cannot be fetched. */
export async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw statusError(url.href, response);
  // Streaming demands the right Content-Type, which many static servers do not send.
  return response.headers.get("content-type") === "application/wasm"
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

/** Fetches and compiles a binary of the package, which lies beside the bundle. */
export async function compileOwn(url: URL): Promise<WebAssembly.Module> {
  try {
    return await compileUrl(url);
  } catch (cause) {
    throw new ModelShrinkError(
      `The core could not be loaded from ${url.href}. Copy modelshrink's dist/wasm beside the bundle ` +
        `(Vite's server: optimizeDeps.exclude), or call init({ wasm }). ${String(cause)}`,
      "io",
      { cause },
    );
  }
}

/** Fetches and compiles the whole core. */
export const compileWhole = (simd: boolean): Promise<WebAssembly.Module> =>
  // Each URL is spelled out, so that bundlers and tools that trace files see both.
  compileOwn(
    simd
      ? new URL("./wasm/simd.wasm", import.meta.url)
      : new URL("./wasm/baseline.wasm", import.meta.url),
  );
