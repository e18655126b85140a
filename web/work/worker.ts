/** Runs the library off the page's thread, so that the page stays responsive. */
import { inspect, plan, readTensor, restore, shrink, type Plan, type Recipe } from "modelshrink";
import { suggestionFor } from "../recipe/formats.js";
import { sqnrOf } from "../result/changes.js";
import { histogramOf } from "../result/histogram.js";
import { diskOutput, type DiskOutput } from "./disk.js";
import type { Answer, JobKind, Jobs, Model, Request, Sized } from "./protocol.js";

const running = new Map<number, AbortController>();
/** What shrinks have left on the disk. */
const outputs = new Map<number, DiskOutput>();

interface Context {
  id: number;
  signal: AbortSignal;
  tell: (news: Jobs[JobKind]["news"]) => void;
}

const post = (message: Answer): void => {
  postMessage(message);
};

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function release(id: number): Promise<void> {
  await outputs.get(id)?.remove();
  outputs.delete(id);
}

async function open({ model }: Jobs["open"]["ask"], { signal }: Context) {
  const info = await inspect(model, { signal });
  const { format, files, inputBytes, tensors } = info;
  const quantized = tensors.filter((tensor) => tensor.quantized);
  return {
    format,
    inputBytes,
    names: files.map(({ name }) => name),
    ...suggestionFor(info),
    numTensors: tensors.length,
    quantizedBytes: quantized.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0),
  };
}

const whyIdle = ({ warnings = [] }: Plan): string => warnings[0] ?? "Nothing would change.";

async function sizeOf(
  model: Model,
  { name, recipe }: { name: string; recipe: Recipe },
  mayRequantize: boolean,
  signal: AbortSignal,
): Promise<Sized> {
  try {
    const first = await plan(model, recipe, { signal });
    const { outputBytes } = first;
    if (!first.isIdle) return { name, outputBytes, requantizes: false };
    if (mayRequantize) {
      const again = await plan(model, { ...recipe, requantize: true }, { signal });
      if (!again.isIdle) return { name, outputBytes: again.outputBytes, requantizes: true };
    }
    return { name, outputBytes, refusal: whyIdle(first), requantizes: false };
  } catch (error) {
    signal.throwIfAborted();
    return { name, outputBytes: 0, refusal: messageOf(error), requantizes: false };
  }
}

async function sizes(ask: Jobs["sizes"]["ask"], { signal, tell }: Context): Promise<null> {
  for (const recipe of ask.recipes) {
    tell(await sizeOf(ask.model, recipe, ask.mayRequantize, signal));
  }
  return null;
}

async function shrinkJob({ model, recipe }: Jobs["shrink"]["ask"], { id, signal, tell }: Context) {
  const start = performance.now();
  const disk = await diskOutput();
  if (disk) outputs.set(id, disk);
  const options = {
    signal,
    ...(disk ? { sink: disk.sink } : {}),
    onProgress: ({ done, total }: { done: number; total: number }) => {
      tell(done / total);
    },
  };
  const result = recipe ? await shrink(model, recipe, options) : await restore(model, options);
  const seconds = (performance.now() - start) / 1000;
  return { report: result.report, files: disk ? await disk.files() : result.files, seconds };
}

/** Takes an output that nobody wants. */
const nowhere = () => ({
  open: () => undefined,
  write: () => undefined,
  close: () => undefined,
  abort: () => undefined,
});

async function measure(ask: Jobs["measure"]["ask"], { signal, tell }: Context): Promise<null> {
  for (const { name, recipe } of ask.recipes) {
    const { report } = await shrink(ask.model, recipe, { signal, sink: nowhere });
    tell({ name, outputBytes: report.outputBytes, sqnr: sqnrOf(report) });
  }
  return null;
}

async function weights({ before, after, name }: Jobs["weights"]["ask"], { signal }: Context) {
  const original = await readTensor(before, name, { signal });
  const small = after && (await readTensor(after, name, { signal }));
  return histogramOf(original.values, small?.values);
}

const jobs: {
  [K in JobKind]: (ask: Jobs[K]["ask"], context: Context) => Promise<Jobs[K]["result"]>;
} = {
  open,
  plan: ({ model, recipe }, { signal }) => plan(model, recipe, { signal }),
  sizes,
  shrink: shrinkJob,
  measure,
  weights,
};

async function run({ kind, id, ask }: Exclude<Request, { kind: "cancel" | "release" }>) {
  const controller = new AbortController();
  const { signal } = controller;
  running.set(id, controller);
  const tell = (news: Jobs[JobKind]["news"]) => {
    if (!signal.aborted) post({ kind: "news", id, news });
  };
  try {
    const job = jobs[kind] as (ask: unknown, context: Context) => Promise<Jobs[JobKind]["result"]>;
    post({ kind: "done", id, result: await job(ask, { id, signal, tell }) });
  } catch (error) {
    await release(id);
    if (signal.aborted) post({ kind: "cancelled", id });
    else post({ kind: "failed", id, message: messageOf(error) });
  } finally {
    running.delete(id);
  }
}

addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.kind === "cancel") running.get(data.id)?.abort();
  else if (data.kind === "release") void release(data.id);
  else void run(data);
});
