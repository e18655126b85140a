/** Keeps long work interruptible: other tasks get their turn, aborts get through. */

import type { AbortSignal } from "./platform-types.js";

/** The longest time without a pause; at 60 frames a second a frame lasts 17 ms. */
const maxBusyMilliseconds = 12;

const nextTask: () => Promise<void> =
  typeof setImmediate === "function"
    ? () =>
        new Promise((resolve) => {
          setImmediate(resolve);
        })
    : () =>
        new Promise((resolve) => {
          // Timers are clamped to 4 ms when they follow one another; messages are not.
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => {
            port1.close();
            resolve();
          };
          port2.postMessage(null);
        });

/** The pauses of one run. */
export class Pacer {
  /** The signal that ends the run. */
  readonly signal: AbortSignal | undefined;
  #turnStarted = performance.now();
  #end: { reason: unknown } | undefined;

  constructor(signal?: AbortSignal) {
    this.signal = signal;
  }

  /** Ends all work at its next pause. */
  stop(reason: unknown): void {
    this.#end ??= { reason };
  }

  /**
   * Lets other tasks have their turn when this one has lasted long enough; to be called between pieces of work.
   * Throws the signal's reason once it is aborted, or the reason of stop().
   */
  async pause(): Promise<void> {
    this.#check();
    if (performance.now() - this.#turnStarted < maxBusyMilliseconds) return;
    await nextTask();
    this.#turnStarted = performance.now();
    this.#check();
  }

  #check(): void {
    this.signal?.throwIfAborted();
    if (this.#end) throw this.#end.reason;
  }
}
