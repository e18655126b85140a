/** Runs the library off the page's thread, so that the page stays responsive. */
import {
  inspect,
  pack,
  plan,
  readTensor,
  restore,
  shrink,
  type Plan,
  type Recipe,
} from "modelshrink";
import { serveJobs, type JobContext } from "../base/jobs.js";
import { suggestionFor } from "../recipe/formats.js";
import { sqnrOf } from "../result/changes.js";
import { histogramOf } from "../result/histogram.js";
import { diskOutput } from "./disk.js";
import type { Jobs, Model, Sized } from "./protocol.js";

type Ask<K extends keyof Jobs> = Jobs[K]["ask"];
type Context<K extends keyof Jobs> = JobContext<Jobs[K]["news"]>;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const isOfFewBits = /^u?int[248]$|^float[48]/;

async function open({ model }: Ask<"open">, { signal }: Context<"open">) {
  const info = await inspect(model, { signal });
  const { format, files, inputBytes, tensors } = info;
  // ONNX has quantized weights as parts of its graph; they are integers of few bits.
  const quantized = tensors.filter(
    (tensor) => tensor.quantized || (format === "onnx" && isOfFewBits.test(tensor.type)),
  );
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

async function sizes(ask: Ask<"sizes">, { signal, tell }: Context<"sizes">): Promise<null> {
  for (const recipe of ask.recipes) {
    tell(await sizeOf(ask.model, recipe, ask.mayRequantize, signal));
  }
  return null;
}

async function foresee(ask: Ask<"foresee">, { signal, tell }: Context<"foresee">): Promise<null> {
  for (const { name, recipe } of ask.recipes) {
    const { outputBytes, rate } = await plan(ask.model, recipe, { signal, survey: true });
    if (rate) tell({ name, outputBytes, packedBytes: rate.packedBytes });
  }
  return null;
}

async function shrinkJob(
  { model, recipe }: Ask<"shrink">,
  { signal, tell, leave }: Context<"shrink">,
) {
  const start = performance.now();
  const disk = await diskOutput();
  if (disk) leave(disk.remove);
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

async function packJob(ask: Ask<"pack">, { signal, leave }: Context<"pack">): Promise<Blob> {
  const { files, name, toDisk } = ask;
  const disk = toDisk ? await diskOutput() : undefined;
  if (disk) leave(disk.remove);
  const sink = await disk?.sink(name);
  const result = await pack(files, { signal, ...(sink ? { sink } : {}) });
  const [packed] = Object.values(disk ? await disk.files() : result.files);
  return packed!;
}

/** Takes an output that nobody wants. */
const nowhere = () => ({
  open: () => undefined,
  write: () => undefined,
  close: () => undefined,
  abort: () => undefined,
});

async function measure(ask: Ask<"measure">, { signal, tell }: Context<"measure">): Promise<null> {
  for (const { name, recipe } of ask.recipes) {
    const { report } = await shrink(ask.model, recipe, { signal, sink: nowhere });
    tell({ name, outputBytes: report.outputBytes, sqnr: sqnrOf(report) });
  }
  return null;
}

async function weights({ before, after, name }: Ask<"weights">, { signal }: Context<"weights">) {
  const original = await readTensor(before, name, { signal });
  const small = after && (await readTensor(after, name, { signal }));
  return histogramOf(original.values, small?.values);
}

serveJobs<Jobs>({
  open,
  plan: ({ model, recipe, looks }, { signal }) => plan(model, recipe, { signal, survey: looks }),
  sizes,
  foresee,
  shrink: shrinkJob,
  pack: packJob,
  measure,
  weights,
});
