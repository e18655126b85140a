/** Starts workers in browsers. */
import type { FromWorker, WorkerPort } from "./protocol.js";

/** Starts a worker that runs worker.ts. */
export function startWorker(): WorkerPort {
  // Bundlers know this form.
  const worker = new Worker(new URL("../worker.js", import.meta.url), { type: "module" });
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
}
