/** Has the cache, so that the page stays responsive while a model is downloaded, shrunk or checked. */
import { createShrinkCache, type CacheProgress } from "modelshrink/cache";
import type { Answer, JobName, Jobs, Request } from "./protocol.js";

const answer = (message: Answer): void => {
  postMessage(message);
};

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

async function load({ id, url, recipe }: Extract<Request, { kind: "load" }>) {
  listeners.set(url, ({ status, progress }) => {
    const fraction = progress === undefined ? {} : { fraction: progress / 100 };
    answer({ kind: "progress", id, words: doing[status], ...fraction });
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

function work(request: Request): Promise<Jobs[JobName]["result"]> {
  switch (request.kind) {
    case "list":
      return cache.list();
    case "load":
      return load(request);
    case "delete":
      return cache.delete(request.entry);
  }
}

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  const { id } = data;
  work(data).then(
    (result) => {
      answer({ kind: "done", id, result });
    },
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      answer({ kind: "failed", id, message });
    },
  );
});
