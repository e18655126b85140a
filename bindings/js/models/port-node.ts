/** A worker's line to its pool, on Node.js. */
import { parentPort } from "node:worker_threads";
import { ModelShrinkError } from "../base/errors.js";
import type { FromWorker, Port, ToWorker } from "./protocol.js";

/** Gives the line of the worker that runs this code; an "internal" error elsewhere. */
export function poolPort(): Port<FromWorker, ToWorker> {
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
}
