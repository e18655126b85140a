/** Starts workers on Node.js. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { WorkerPort } from "./protocol.js";

/**
 * Gives the number of workers where nobody names one: two cores stay for this thread and the system's reads and writes,
 * without which most recipes go no faster.
 */
export const numWorkers = () => Math.max(availableParallelism() - 2, 0);

/** Starts a worker that runs worker.ts. */
export function startWorker(): WorkerPort {
  const url = new URL("../worker.js", import.meta.url);
  // What this process was started with is not for a file: "--input-type" would refuse it, and "--import" run again.
  const worker = new Worker(url, { execArgv: [] });
  return {
    post: (message, transfer = []) => {
      worker.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      worker.on("message", listener);
    },
    onError: (listener) => {
      for (const event of ["error", "messageerror"] as const) {
        worker.on(event, (error) => {
          listener(`${url.href}: ${String(error)}`);
        });
      }
      worker.on("exit", (code) => {
        listener(`${url.href}: it ended with code ${code}`);
      });
    },
    terminate: () => {
      void worker.terminate();
    },
  };
}
