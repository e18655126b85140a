/** Runs the library off the page's thread, so that the page stays responsive. */
import { plan, shrink } from "modelshrink";
import type { Answer, Job, Request } from "./protocol.js";

const running = new Map<number, AbortController>();

const answer = (message: Answer): void => {
  postMessage(message);
};

async function shrinkJob({ id, model, recipe }: Job, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const result = await shrink(model, recipe, {
    signal,
    onProgress: ({ done, total }) => {
      answer({ kind: "progress", id, fraction: done / total });
    },
  });
  const [output] = Object.values(result.files);
  if (!output) throw new Error("The model has no output file.");
  const seconds = (performance.now() - start) / 1000;
  answer({ kind: "shrunk", id, report: result.report, model: output, seconds });
}

async function run(request: Job & { kind: "plan" | "shrink" }): Promise<void> {
  const { id, model, recipe } = request;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (request.kind === "shrink") {
      await shrinkJob(request, controller.signal);
    } else {
      answer({ kind: "planned", id, plan: await plan(model, recipe) });
    }
  } catch (error) {
    if (controller.signal.aborted) answer({ kind: "cancelled", id });
    else
      answer({
        kind: "failed",
        id,
        message: error instanceof Error ? error.message : String(error),
      });
  } finally {
    running.delete(id);
  }
}

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.kind === "cancel") running.get(data.id)?.abort();
  else void run(data);
});
