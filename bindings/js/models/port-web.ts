/** A worker's line to its pool, in browsers. */
import type { FromWorker, Port, ToWorker } from "./protocol.js";

/** Gives the line of the worker that runs this code. */
export function poolPort(): Port<FromWorker, ToWorker> {
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
}
