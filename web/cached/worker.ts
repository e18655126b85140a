/** Has the cache, so that the page stays responsive while a model is downloaded, shrunk or checked. */
import { createShrinkCache, type CacheProgress } from "modelshrink/cache";
import { answerJobs, type JobProgress, type JobRequest } from "../base/jobs.js";
import type { Jobs } from "./protocol.js";

type Tell = (progress: JobProgress) => void;

/** The loads that want to hear of progress, by their addresses. */
const listeners = new Map<string, (progress: CacheProgress) => void>();
/** Why the load that is under way could not be kept. */
let failures: string[] = [];

const cache = createShrinkCache({
  onProgress: (progress) => listeners.get(progress.name)?.(progress),
  onWarning: ({ code, message }) => {
    if (code === "uncached") failures.push(message);
  },
});

const doing: Readonly<Record<CacheProgress["status"], string>> = {
  initiate: "Downloading…",
  download: "Downloading…",
  progress: "Downloading…",
  shrink: "Shrinking…",
  done: "Keeping…",
};

async function load({ url, recipe }: Jobs["load"]["given"], onProgress: Tell) {
  listeners.set(url, ({ status, progress }) => {
    const fraction = progress === undefined ? {} : { fraction: progress / 100 };
    onProgress({ words: doing[status], ...fraction });
  });
  failures = [];
  try {
    const { files } = await cache.cached(url, recipe);
    const [failure] = failures;
    if (failure !== undefined) throw new Error(failure);
    return files;
  } finally {
    listeners.delete(url);
  }
}

const answer = answerJobs<Jobs>((job, onProgress) => {
  switch (job.kind) {
    case "list":
      return cache.list();
    case "load":
      return load(job, onProgress);
    case "delete":
      return cache.delete(job.entry);
  }
});

addEventListener("message", ({ data }: MessageEvent<JobRequest<Jobs>>) => {
  answer(data);
});
