/** Has the cache, so that the page stays responsive while a model is downloaded, shrunk or checked. */
import { createShrinkCache, type CacheProgress } from "modelshrink/cache";
import { serveJobs, type JobContext } from "../base/jobs.js";
import type { Jobs, Loading } from "./protocol.js";

const cache = createShrinkCache();

const doing: Readonly<Record<CacheProgress["status"], string>> = {
  initiate: "Downloading…",
  download: "Downloading…",
  progress: "Downloading…",
  shrink: "Shrinking…",
  done: "Keeping…",
};

async function load({ url, recipe }: Jobs["load"]["ask"], context: JobContext<Loading>) {
  const { signal, tell } = context;
  let failure: string | undefined;
  // A cache of its own hears of this load alone; the store is the same.
  const own = createShrinkCache({
    packed: true,
    onProgress: ({ status, progress }) => {
      const fraction = progress === undefined ? {} : { fraction: progress / 100 };
      tell({ words: doing[status], ...fraction });
    },
    onWarning: ({ code, message }) => {
      if (code === "uncached") failure ??= message;
    },
  });
  const { files } = await own.cached(url, recipe, { signal });
  if (failure !== undefined) throw new Error(failure);
  return files;
}

serveJobs<Jobs>({
  list: () => cache.list(),
  load,
  delete: ({ entry }) => cache.delete(entry),
});
