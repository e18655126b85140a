/** Browsers, workers and edge runtimes: files are Blobs, paths do not exist. */
import { ArgumentError, ModelShrinkError } from "../base/errors.js";
import type { Platform } from "./platform.js";
import type { FromWorker, ToWorker } from "../models/protocol.js";

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

export const pathTarget: Platform["pathTarget"] = (path) => {
  throw new ArgumentError(
    `sink is "${path}", a path, which only Node.js can write: pass a Sink object.`,
  );
};

export const startWorker: Platform["startWorker"] = () => {
  // Bundlers know this form.
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return {
    post: (message, transfer = []) => {
      worker.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        listener(data);
      };
    },
    onError: (listener) => {
      worker.onerror = ({ message }) => {
        listener(message);
      };
    },
    terminate: () => {
      worker.terminate();
    },
  };
};

export const poolPort: Platform["poolPort"] = () => {
  const scope = globalThis as unknown as {
    postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
    onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  };
  return {
    post: (message, transfer = []) => {
      scope.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      scope.onmessage = ({ data }) => {
        listener(data);
      };
    },
  };
};
