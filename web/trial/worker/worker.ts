/** Runs models off the page's thread; the page ends it to stop a run. */
import { answerJobs, type JobProgress, type JobRequest } from "../../base/jobs.js";
import type { Files } from "../../open/files.js";
import type { Jobs, Pair, Request } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

let models: Pair<Files> | undefined;
let sessions: Promise<Pair<Session>> | undefined;

async function openBoth(): Promise<Pair<Session>> {
  if (!models) throw new Error("There are no models.");
  const { openSession } = await import("./onnxruntime.js");
  const original = await openSession(models.original);
  return { original, small: await openSession(models.small) };
}

async function work(job: JobRequest<Jobs>, tell: (progress: JobProgress) => void) {
  const onProgress = (fraction: number) => {
    tell({ fraction });
  };
  if (job.kind === "compare") {
    if (!models) throw new Error("There are no models.");
    const compare =
      job.format === "tfjs"
        ? (await import("./compare-tfjs.js")).compareTfjs
        : (await import("./compare-onnx.js")).compareOnnx;
    return compare(models, job.samples, onProgress);
  }
  const both = await (sessions ??= openBoth());
  if (job.kind === "listen") return (await import("./listen.js")).listen(both, onProgress);
  return (await import("./read.js")).readLines(both, job.lines, onProgress);
}

const isOfMemory = /bad_alloc|out of memory|memory access|allocation failed|failed to allocate/i;

const answer = answerJobs<Jobs>((job, onProgress) =>
  work(job, onProgress).catch((error: unknown) => {
    if (!isOfMemory.test(String(error))) throw error;
    throw new Error("The models need more memory than this browser gives a page.", {
      cause: error,
    });
  }),
);

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.kind === "models") ({ models } = data);
  else answer(data);
});
