/** Runs the library off the page's thread, so that the page stays responsive. */
import { inspect, plan, shrink } from "modelshrink";
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
  const seconds = (performance.now() - start) / 1000;
  answer({ kind: "shrunk", id, report: result.report, files: result.files, seconds });
}

async function run(request: Exclude<Request, { kind: "cancel" }>): Promise<void> {
  const { id, model } = request;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (request.kind === "shrink") {
      await shrinkJob(request, controller.signal);
    } else if (request.kind === "plan") {
      answer({ kind: "planned", id, plan: await plan(model, request.recipe) });
    } else {
      const { format, files } = await inspect(model);
      answer({ kind: "opened", id, format, main: files[0]?.name ?? "", numFiles: files.length });
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
