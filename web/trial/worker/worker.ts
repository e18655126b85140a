/** Runs models off the page's thread; the page ends it to stop a run. */
import type { Files } from "../../open/files.js";
import type { Answer, JobName, Jobs, Pair, Request } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

let models: Pair<Files> | undefined;
let sessions: Promise<Pair<Session>> | undefined;

const answer = (message: Answer): void => {
  postMessage(message);
};

async function openBoth(): Promise<Pair<Session>> {
  if (!models) throw new Error("There are no models.");
  const { openSession } = await import("./onnxruntime.js");
  const original = await openSession(models.original);
  return { original, small: await openSession(models.small) };
}

type Job = Exclude<Request, { kind: "models" }>;

async function work(job: Job): Promise<Jobs[JobName]["result"]> {
  const onProgress = (fraction: number) => {
    answer({ kind: "progress", id: job.id, fraction });
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

function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isOfMemory.test(message))
    return "The models need more memory than this browser gives a page.";
  return message;
}

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.kind === "models") {
    ({ models } = data);
    return;
  }
  const { id } = data;
  work(data).then(
    (result) => {
      answer({ kind: "done", id, result });
    },
    (error: unknown) => {
      answer({ kind: "failed", id, message: wordsOf(error) });
    },
  );
});
