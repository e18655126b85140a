/** Whole models: bytes in, a plan, bytes out. */
import type { CoreModel, CoreModule, CoreReport, CoreTensorInfo } from "./core.js";
import { UnsupportedError } from "./errors.js";
import { loadCore, unwrap } from "./load.js";
import { checkKeys, checkObject } from "./options.js";
import { Pacer } from "./pace.js";
import { checkRecipe, remarksOn, specsOf, type CheckedRecipe, type Recipe } from "./recipe.js";
import { CheckedSink, MemorySink, sinkFromOption, type Sink } from "./sink.js";
import { openSource, type OpenSource, type Source } from "./source.js";
import { callLive, runSteps } from "./steps.js";

export interface TensorInfo {
  /** Unique within the model. */
  name: string;
  shape: number[];
  /** The stored element type. */
  type: string;
  /** Whether it is already quantized. */
  quantized: boolean;
  /** What the file spends on it, in bytes. */
  storedBytes: number;
  /** Whether it is a weight that can be quantized; `note` says why not. */
  isWeight: boolean;
  /** The axis of output channels. */
  axis: number;
  /** The operator that consumes it ("Conv"); empty when none does. */
  consumer: string;
  note?: string;
}

export interface ModelInfo {
  format: string;
  inputBytes: number;
  metadata: Record<string, string>;
  tensors: TensorInfo[];
}

export interface PlannedTensor {
  name: string;
  shape: number[];
  from: string;
  to: string;
  inputBytes: number;
  outputBytes: number;
  /** Why it was kept, or done otherwise than asked. */
  note?: string;
}

export interface Plan {
  format: string;
  inputBytes: number;
  /** Exactly what `shrink` will write. */
  outputBytes: number;
  tensors: PlannedTensor[];
  /** What the recipe's author should know, such as a rule that matches no weight. */
  warnings?: string[];
}

export interface ReportedTensor extends PlannedTensor {
  /** Signal to quantization noise ratio in dB; Infinity when nothing changed. */
  sqnr?: number;
  maxAbsError?: number;
  meanAbsError?: number;
  cosine?: number;
  /** The fraction of zeros. */
  sparsity?: number;
}

export interface Report extends Plan {
  tensors: ReportedTensor[];
}

export interface Progress {
  phase: "read" | "write" | "compare";
  /** Bytes; never decreases within a phase. */
  done: number;
  total: number;
  /** The tensor that was just finished. */
  tensor?: string;
}

export interface RunOptions {
  /** Rejects with the signal's reason; nothing is left behind. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface ShrinkOptions extends RunOptions {
  /** Where the output goes: a file path (Node.js) or a Sink; by default memory. */
  sink?: string | Sink;
}

export interface ShrinkResult {
  /** The output by name; empty when it went to a `sink`. */
  files: Record<string, Blob>;
  /** The output of a one-file model. */
  bytes(): Promise<Uint8Array>;
  report: Report;
}

/** How much of a file is enough to know its format. */
const headBytes = 64;

const runKeys = ["signal", "onProgress"] as const;

/** Reports progress that never goes back. */
class Meter {
  readonly #report: ((progress: Progress) => void) | undefined;
  readonly #phase: Progress["phase"];
  readonly #total: number;
  #done = 0;

  constructor(options: RunOptions, phase: Progress["phase"], total: number) {
    this.#report = options.onProgress;
    this.#phase = phase;
    this.#total = total;
  }

  get done(): number {
    return this.#done;
  }

  advanceTo(done: number, tensor?: string): void {
    this.#done = Math.max(this.#done, Math.min(done, this.#total));
    const name = tensor === undefined ? {} : { tensor };
    this.#report?.({ phase: this.#phase, done: this.#done, total: this.#total, ...name });
  }
}

/** A model whose structure is read. */
interface OpenModel {
  core: CoreModule;
  model: CoreModel;
  source: OpenSource;
  pacer: Pacer;
}

async function readStructure(opened: OpenModel, options: RunOptions): Promise<void> {
  const { core, model, source, pacer } = opened;
  const meter = new Meter(options, "read", source.size);
  await runSteps(model, {
    core,
    pacer,
    inputs: [source],
    onRead: (_, end) => {
      meter.advanceTo(end);
    },
  });
  meter.advanceTo(source.size);
}

/** Opens and reads a model, does `work`, and closes everything whatever happens. */
async function withModel<T>(
  source: Source,
  options: RunOptions,
  work: (opened: OpenModel) => Promise<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const opened = await openSource(source, options.signal);
  let model: CoreModel | undefined;
  try {
    const head = await opened.read(0, Math.min(headBytes, opened.size));
    model = callLive(core, () => unwrap(core.openModel(opened.size, head)));
    const all = { core, model, source: opened, pacer: new Pacer(options.signal) };
    await readStructure(all, options);
    return await work(all);
  } finally {
    release(core, model);
    await opened.close();
  }
}

/** Objects of an instance that has trapped are gone with it. */
function release(core: CoreModule, object: { delete(): void } | undefined): void {
  try {
    if (object)
      callLive(core, () => {
        object.delete();
      });
  } catch {
    // Nothing to free.
  }
}

function checkRunOptions(options: object, keys: readonly string[]): void {
  checkKeys("options", checkObject("options", options), keys);
}

function toTensorInfo({ note, ...tensor }: CoreTensorInfo): TensorInfo {
  return { ...tensor, ...(note ? { note } : {}) };
}

/** What is in a model, from its headers alone. */
export async function inspect(source: Source, options: RunOptions = {}): Promise<ModelInfo> {
  checkRunOptions(options, runKeys);
  return withModel(source, options, ({ core, model }) => {
    const { format, sizeBytes, metadata, tensors } = callLive(core, () => unwrap(model.info()));
    return Promise.resolve({
      format,
      inputBytes: sizeBytes,
      metadata,
      tensors: tensors.map(toTensorInfo),
    });
  });
}

function planOf({ core, model }: OpenModel, recipe: CheckedRecipe) {
  return callLive(core, () => {
    const { tensors } = unwrap(model.info());
    const specs = specsOf(recipe, tensors);
    const planned = unwrap(model.plan(specs, recipe.options));
    return { specs, planned, remarks: remarksOn(recipe, tensors) };
  });
}

/** The core's report with what only the recipe knows. */
function withRemarks<T extends CoreReport>(
  report: T,
  { notes, warnings }: ReturnType<typeof remarksOn>,
): T & { warnings?: string[] } {
  for (const [i, tensor] of report.tensors.entries()) {
    const note = notes[i];
    if (note !== undefined) tensor.note ??= note;
  }
  return warnings.length > 0 ? { ...report, warnings } : report;
}

/** What `shrink` would do, and the exact size of its output, without reading any weight. */
export async function plan(
  source: Source,
  recipe: string | Recipe,
  options: RunOptions = {},
): Promise<Plan> {
  checkRunOptions(options, runKeys);
  const checked = checkRecipe(recipe);
  return withModel(source, options, (opened) => {
    const { planned, remarks } = planOf(opened, checked);
    return Promise.resolve(withRemarks(planned, remarks));
  });
}

async function writeModel(
  opened: OpenModel,
  recipe: CheckedRecipe,
  sink: Sink,
  options: RunOptions,
): Promise<Report> {
  const { core, model, source, pacer } = opened;
  const { specs, planned, remarks } = planOf(opened, recipe);
  const checked = new CheckedSink(sink, planned.outputBytes);
  const meter = new Meter(options, "write", planned.outputBytes);
  const run = callLive(core, () => unwrap(model.shrink(specs, recipe.options)));
  try {
    await checked.open();
    await runSteps(run, {
      core,
      pacer,
      inputs: [source],
      sink: checked,
      onWrite: () => {
        meter.advanceTo(checked.written);
      },
      onTensor: (tensor) => {
        meter.advanceTo(checked.written, planned.tensors[tensor]?.name);
      },
    });
    options.signal?.throwIfAborted();
    await checked.close();
    return withRemarks(
      callLive(core, () => run.report()),
      remarks,
    );
  } catch (error) {
    await checked.abort(error);
    throw error;
  } finally {
    release(core, run);
  }
}

/** Writes a smaller model of the same format. */
export async function shrink(
  source: Source,
  recipe: string | Recipe,
  options: ShrinkOptions = {},
): Promise<ShrinkResult> {
  checkRunOptions(options, [...runKeys, "sink"]);
  const checked = checkRecipe(recipe);
  const given = sinkFromOption(options.sink);
  return withModel(source, options, async (opened) => {
    const memory = new MemorySink();
    const report = await writeModel(opened, checked, given ?? memory, options);
    if (given) {
      const message = "The output went to the sink that shrink() was given, not into memory.";
      return { files: {}, bytes: () => Promise.reject(new UnsupportedError(message)), report };
    }
    const blob = memory.blob();
    return {
      files: { [opened.source.name]: blob },
      bytes: async () => new Uint8Array(await blob.arrayBuffer()),
      report,
    };
  });
}

/** How far the tensors of `b` are from those of `a`, by name, whatever each is stored as. */
export async function compareModels(
  a: Source,
  b: Source,
  options: RunOptions = {},
): Promise<Report> {
  checkRunOptions(options, runKeys);
  const { signal } = options;
  const quiet = signal ? { signal } : {};
  return withModel(a, quiet, (original) =>
    withModel(b, quiet, (other) => compareOpened(original, other, options)),
  );
}

async function compareOpened(
  original: OpenModel,
  other: OpenModel,
  options: RunOptions,
): Promise<Report> {
  const { core, pacer } = original;
  const { tensors } = callLive(core, () => unwrap(original.model.info()));
  const meter = new Meter(options, "compare", original.source.size + other.source.size);
  const run = callLive(core, () => unwrap(core.compareModels(original.model, other.model)));
  try {
    await runSteps(run, {
      core,
      pacer,
      inputs: [original.source, other.source],
      onRead: (_, __, size) => {
        meter.advanceTo(meter.done + size);
      },
      onTensor: (tensor) => {
        meter.advanceTo(meter.done, tensors[tensor]?.name);
      },
    });
    meter.advanceTo(Infinity);
    return callLive(core, () => run.report());
  } finally {
    release(core, run);
  }
}
