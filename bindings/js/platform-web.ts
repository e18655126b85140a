/** Browsers, workers and edge runtimes: files are Blobs, paths do not exist. */
import { ArgumentError, ModelShrinkError } from "./errors.js";
import type { Platform } from "./platform.js";

export const compileUrl: Platform["compileUrl"] = async (url) => {
  const response = await fetch(url);
  if (!response.ok) {
    throw new ModelShrinkError(`${url.href} gave HTTP status ${response.status}.`, "io");
  }
  // Streaming demands the right Content-Type, which many static servers do not send.
  return response.headers.get("content-type") === "application/wasm"
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
};

export const openPath: Platform["openPath"] = (path) =>
  Promise.reject(
    new ArgumentError(
      `"${String(path)}" is a path, which only Node.js can open: pass a URL, a Blob or bytes.`,
    ),
  );

export const fileSink: Platform["fileSink"] = (path) => {
  throw new ArgumentError(
    `sink is "${path}", a file path, which only Node.js can write: pass a Sink object.`,
  );
};
