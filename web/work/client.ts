/** The page's end of the worker that runs the library. */
import { WorkerJobs } from "../base/jobs.js";
import type { Jobs } from "./protocol.js";

export const library = new WorkerJobs<Jobs>(
  () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
);
