/** Workers of Node.js. */
import { parentPort, Worker } from "node:worker_threads";
import { ModelShrinkError } from "../base/errors.js";
import type { Platform } from "../core/platform.js";

export const startWorker: Platform["startWorker"] = () => {
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
};

export const poolPort: Platform["poolPort"] = () => {
  const port = parentPort;
  if (!port) throw new ModelShrinkError("worker.js runs in workers only.", "internal");
  return {
    post: (message, transfer = []) => {
      port.postMessage(message, transfer);
    },
    onMessage: (listener) => {
      port.on("message", listener);
    },
  };
};
