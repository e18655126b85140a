/**
 * Ends the command at an interrupt even while its thread works without a pause: a thread of its own waits for the
 * signal, tells the command, and ends the process when that does not end by itself.
 */
import { Worker } from "node:worker_threads";

/** The time in milliseconds that the command has to end by itself and to tidy up. */
const graceMilliseconds = 1200;

/**
 * The watching thread's program. A script that may be broken off by SIGINT is the only way in which a thread other than
 * the first one learns of a signal. From then on the signal has its usual effect: a second one ends the process, too.
 */
const program = `
  const { writeSync } = require("node:fs");
  const { runInThisContext } = require("node:vm");
  const { parentPort, workerData } = require("node:worker_threads");
  globalThis.cell = new Int32Array(new SharedArrayBuffer(4));
  globalThis.say = (word) => parentPort.postMessage(word);
  try {
    runInThisContext("say('watching'); Atomics.wait(cell, 0, 0)", { breakOnSigint: true });
  } catch {
    say("interrupted");
    Atomics.wait(cell, 0, 0, workerData.graceMilliseconds);
    writeSync(2, "modelshrink: interrupted; a piece of work did not end by itself.\\n");
    process.kill(process.pid, "SIGINT");
  }
`;

/**
 * Calls `interrupt` at SIGINT, and ends the process when it is still there a moment later. Gives what ends the watch
 * once that has begun: an earlier signal would not get through to a thread that is busy by then.
 */
export async function watchForInterrupt(interrupt: () => void): Promise<() => void> {
  const worker = new Worker(program, {
    ...{ eval: true, workerData: { graceMilliseconds } },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  await new Promise<void>((resolve) => {
    worker.on("message", (word) => {
      if (word === "watching") resolve();
      else interrupt();
    });
    // Where no thread starts, the signal's own listener is left.
    worker.on("error", () => {
      resolve();
    });
  });
  worker.unref();
  return () => {
    void worker.terminate();
  };
}
