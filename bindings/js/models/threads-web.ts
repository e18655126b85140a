/** Starts workers in browsers. */
import type { FromWorker, WorkerPort } from "./protocol.js";

/**
 * The worker file beside the bundle that scripts/bundle.mjs makes of this. The file needs no other one, so bundlers
 * that know this form may copy it as they copy a binary.
 */
const workerUrl = () => new URL("./modelshrink-worker.js", import.meta.url);

/**
 * The URL to start it from. Browsers start no worker from another origin's file, but a file of this origin may import
 * that one.
 */
function startableUrl(url: URL): URL {
  // `origin` is "null" in a sandboxed frame, whatever its location says.
  const isForeign = /^https?:$/.test(url.protocol) && url.origin !== origin;
  if (!isForeign) return url;
  const script = `import ${JSON.stringify(url.href)};`;
  return new URL(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
}

/** Gives the number of workers where nobody names one: that of the cores, 0 where there is no Worker. */
export const numWorkers = () => (typeof Worker === "undefined" ? 0 : navigator.hardwareConcurrency);

/** Starts a worker that runs worker.ts; throws an Error where there is no Worker or it may not start. */
export function startWorker(): WorkerPort {
  if (typeof Worker === "undefined") throw new Error("this host has no Worker");
  const url = workerUrl();
  const startable = startableUrl(url);
  const release = () => {
    if (startable !== url) URL.revokeObjectURL(startable.href);
  };
  let worker: Worker;
  try {
    worker = new Worker(startable, { type: "module" });
  } catch (cause) {
    release();
    throw new Error(`${url.href}: ${String(cause)}`, { cause });
  }
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
      // A file that cannot be loaded gives an Event without a message.
      worker.onmessageerror = () => {
        listener(`${url.href}: a message of it cannot be read`);
      };
      worker.onerror = ({ message }: Partial<ErrorEvent>) => {
        listener(`${url.href}: ${message ?? "it cannot be loaded"}`);
      };
    },
    terminate: () => {
      worker.terminate();
      release();
    },
  };
}
