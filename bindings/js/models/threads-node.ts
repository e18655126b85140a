/** Starts workers on Node.js. */
import { Worker } from "node:worker_threads";
import type { WorkerPort } from "./protocol.js";

/** Starts a worker that runs worker.ts. */
export function startWorker(): WorkerPort {
  const worker = new Worker(new URL("../worker.js", import.meta.url));
  return {
    post: (message, transfer = []) => {
      worker.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      worker.on("message", listener);
    },
    onError: (listener) => {
      worker.on("error", listener);
      worker.on("exit", (code) => {
        listener(`it ended with code ${code}`);
      });
    },
    terminate: () => {
      void worker.terminate();
    },
  };
}
