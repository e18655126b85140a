/** Runs the two models of one offer off the page's thread; the page ends it to stop a run. */
import { serveJobs, type JobWork } from "../../base/jobs.js";
import { once } from "../../base/once.js";
import type { Files } from "../../open/files.js";
import type { Jobs, Pair } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

const opener = () =>
  once(async (files: Files): Promise<Session> => {
    const { openSession } = await import("./onnxruntime.js");
    return openSession(files);
  });
const [original, small] = [opener(), opener()];

/** Opens both models for the first job that needs them. */
const sessions = async (models: Pair<Files>): Promise<Pair<Session>> => ({
  original: await original(models.original),
  small: await small(models.small),
});

const isOfMemory = /bad_alloc|out of memory|memory access|allocation failed|failed to allocate/i;

/** Gives `work` with its errors in words that a visitor understands. */
function explained<Ask, Context, Result>(work: (ask: Ask, context: Context) => Promise<Result>) {
  return async (ask: Ask, context: Context): Promise<Result> => {
    try {
      return await work(ask, context);
    } catch (error) {
      if (!isOfMemory.test(String(error))) throw error;
      throw new Error("The models need more memory than this browser gives a page.", {
        cause: error,
      });
    }
  };
}

const work: JobWork<Jobs> = {
  read: explained(async ({ models, lines }, { tell }) =>
    (await import("./read.js")).readLines(await sessions(models), lines, tell),
  ),
  listen: explained(async ({ models }, { tell }) =>
    (await import("./listen.js")).listen(await sessions(models), tell),
  ),
  compare: explained(async ({ models, format, samples }, { tell }) =>
    format === "tfjs"
      ? (await import("./compare-tfjs.js")).compareTfjs(models, samples, tell)
      : (await import("./compare-onnx.js")).compareOnnx(models, samples, tell),
  ),
};
serveJobs(work);
