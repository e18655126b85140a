/** Compiles the core's binary in browsers, workers and edge runtimes. */
import { ModelShrinkError } from "../base/errors.js";

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
