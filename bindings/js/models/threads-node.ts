/** Starts workers on Node.js. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { WorkerPort } from "./protocol.js";

/** Gives the number of cores that this process may use. */
export const numCores = availableParallelism;

/** Starts a worker that runs worker.ts. */
export function startWorker(): WorkerPort {
  const url = new URL("../worker.js", import.meta.url);
  const worker = new Worker(url);
  return {
    post: (message, transfer = []) => {
      worker.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      worker.on("message", listener);
    },
    onError: (listener) => {
      worker.on("error", (error) => {
        listener(`${url.href}: ${String(error)}`);
      });
      worker.on("exit", (code) => {
        listener(`${url.href}: it ended with code ${code}`);
      });
    },
    terminate: () => {
      void worker.terminate();
    },
  };
}
