/** A worker with the two models of one offer. */
import { WorkerJobs } from "../base/jobs.js";
import type { Files } from "../open/files.js";
import type { Jobs, Pair, Request } from "./protocol.js";

export type Runner = WorkerJobs<Jobs>;

/** Gives what runs these models, in a worker that starts with the first job. */
export const runnerOf = (models: Pair<Files>): Runner =>
  new WorkerJobs<Jobs>(() => {
    const worker = new Worker(new URL("./worker/worker.ts", import.meta.url), { type: "module" });
    worker.postMessage({ kind: "models", models } satisfies Request);
    return worker;
  });
