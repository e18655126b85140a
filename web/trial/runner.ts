/** Runs the two models of one offer. */
import { WorkerJobs } from "../base/jobs.js";
import type { Given, Jobs } from "./protocol.js";

/** Has a worker that starts with the first job, and anew after it was stopped. */
export class Runner {
  readonly #models: Given["models"];
  readonly #jobs = new WorkerJobs<Jobs>(
    () => new Worker(new URL("./worker/worker.ts", import.meta.url), { type: "module" }),
  );

  constructor(models: Given["models"]) {
    this.#models = models;
  }

  /** Rejects with the reason in words where it cannot be done, and with `Cancelled` once it is stopped. */
  ask<K extends keyof Jobs>(
    job: K,
    others: Omit<Jobs[K]["ask"], keyof Given>,
    onProgress?: (fraction: number) => void,
  ): Promise<Jobs[K]["result"]> {
    const ask = { models: this.#models, ...others } as Jobs[K]["ask"];
    return this.#jobs.start(job, ask, onProgress).result;
  }

  /** Ends what it was asked for, and frees the memory. */
  stop(): void {
    this.#jobs.stop();
  }
}
