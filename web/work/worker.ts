/** Runs the library off the page's thread, so that the page stays responsive. */
import { inspect, plan, shrink } from "modelshrink";
import { diskOutput, type DiskOutput } from "./disk.js";
import type { Answer, Job, Request } from "./protocol.js";
import { suggestedPreset } from "../recipe/formats.js";

const running = new Map<number, AbortController>();
/** What shrinks have left on the disk. */
const outputs = new Map<number, DiskOutput>();

async function release(id: number): Promise<void> {
  await outputs.get(id)?.remove();
  outputs.delete(id);
}

const answer = (message: Answer): void => {
  postMessage(message);
};

async function shrinkJob({ id, model, recipe }: Job, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const disk = await diskOutput();
  if (disk) outputs.set(id, disk);
  const result = await shrink(model, recipe, {
    signal,
    ...(disk ? { sink: disk.sink } : {}),
    onProgress: ({ done, total }) => {
      answer({ kind: "progress", id, fraction: done / total });
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const files = disk ? await disk.files() : result.files;
  answer({ kind: "shrunk", id, report: result.report, files, seconds });
}

async function run(request: Exclude<Request, { kind: "cancel" | "release" }>): Promise<void> {
  const { id, model } = request;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (request.kind === "shrink") {
      await shrinkJob(request, controller.signal);
    } else if (request.kind === "plan") {
      answer({ kind: "planned", id, plan: await plan(model, request.recipe) });
    } else {
      const info = await inspect(model);
      const names = info.files.map(({ name }) => name);
      answer({ kind: "opened", id, format: info.format, names, suggested: suggestedPreset(info) });
    }
  } catch (error) {
    await release(id);
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
  else if (data.kind === "release") void release(data.id);
  else void run(data);
});
