/** Compiles the core's binary in browsers, workers and edge runtimes. */
import { ModelShrinkError } from "../base/errors.js";

/** The default binary's place: beside the bundle that scripts/bundle.mjs makes of this. */
export function binaryUrl(simd: boolean): URL {
  // Each URL is spelled out, so that bundlers see both files.
  return simd
    ? new URL("./wasm/modelshrink-simd.wasm", import.meta.url)
    : new URL("./wasm/modelshrink-baseline.wasm", import.meta.url);
}

/** Fetches and compiles a binary; an "io" error when it cannot be fetched. */
export async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) {
    throw new ModelShrinkError(`${url.href} gave HTTP status ${response.status}.`, "io");
  }
  // Streaming demands the right Content-Type, which many static servers do not send.
  return response.headers.get("content-type") === "application/wasm"
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}
