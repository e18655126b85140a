/** Whole models: bytes in, a plan, bytes out. */
import { checkCalibration, type Calibration } from "../recipe/calibration.js";
import { isChanged, isCut, isPruned } from "./changes.js";
import type { CoreLayerInput, CoreReport, CoreResult, CoreSurvey, CoreTensorInfo } from "../core/types.js";
import { UnsupportedError } from "../base/errors.js";
import { unwrap } from "../core/load.js";
import { shrinkGuarded, type Guard, type GuardOutcome } from "../runtime/guard.js";
import { Meter } from "../base/meter.js";
import { formatBytes } from "../text.js";
import { release, withModel, type OpenModel, type RunOptions } from "./open.js";
import { checkBoolean, checkInteger, checkKeys, checkObject } from "../base/options.js";
import { presetNamed, type FormatName } from "../recipe/presets.js";
import {
  checkRecipe,
  orderFor,
  restoringOrder,
  type Recipe,
  type RemarkedOrder,
} from "../recipe/order.js";
import { applyShares, type PruneSurvey } from "../recipe/pruning.js";
import { runOrder, type Order } from "./run.js";
import { elementsOf } from "../base/shape.js";
import { sparseWarning, withoutZeros } from "./sparse.js";
import { MemorySink, targetFromOption, type Sink, type SinkFor } from "../files/target.js";
import type { OpenFile, Source } from "../files/open.js";
import { rangesAheadOf } from "../files/ranges.js";
import { callLive, runSteps } from "./steps.js";

export interface TensorInfo {
  /** Unique within the model. */
  name: string;
  shape: number[];
  /** The stored element type. */
  type: string;
  /** Whether it is already quantized. */
  quantized: boolean;
  /** The float type that `restore` gives it; only when it is quantized. */
  restoredType?: string;
  /** What the file spends on it, in bytes. */
  storedBytes: number;
  /** Whether it is a weight that can be quantized; `note` says why not. */
  isWeight: boolean;
  /** The axis of output channels. */
  axis: number;
  /** The operator that consumes it ("Conv"); empty when none does. */
  consumer: string;
  note?: string;
  /** How many groups a convolution has its outputs in, directions a recurrent layer; 1 when left out. */
  groups?: number;
  /** Where the inputs of its layers come from, in formats that tell: what `calibrate` looks at. */
  layerInputs?: LayerInput[];
  /** Of a layer: where its values begin in the main file. */
  dataOffset?: number;
}

export type LayerInput = CoreLayerInput;

export interface FileInfo {
  name: string;
  bytes: number;
}

export interface ModelInfo {
  format: FormatName;
  inputBytes: number;
  /** The main file comes first. */
  files: FileInfo[];
  metadata: Record<string, string>;
  tensors: TensorInfo[];
}

export interface PlannedTensor {
  name: string;
  shape: number[];
  from: string;
  to: string;
  /** How weights became zero, and what makes up for it: "magnitude", "sparsegpt 2:4 gptq", … */
  method?: string;
  /** Without the channels that leave. */
  outputShape: number[];
  inputBytes: number;
  outputBytes: number;
  /** Why it was kept, or done otherwise than asked. */
  note?: string;
}

export interface Plan {
  format: FormatName;
  inputBytes: number;
  /** Exactly what `shrink` will write. */
  outputBytes: number;
  /** Of the output; the main file comes first. */
  files: FileInfo[];
  tensors: PlannedTensor[];
  /** What the recipe's author should know, such as a rule that matches no weight. */
  warnings?: string[];
}

export interface ReportedTensor extends PlannedTensor {
  /** Signal to quantization noise ratio in dB; Infinity when nothing changed. No errors of what lost channels. */
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

export interface ShrinkOptions extends RunOptions {
  /**
   * Where the output goes: a path (Node.js), a Sink for an output of one file, or what gives a Sink
   * for each file's name; by default memory.
   */
  sink?: string | Sink | SinkFor;
  /**
   * Goes on where an earlier run to the same path was cut off, and leaves what it has done when it is
   * cut off itself. A run that was killed can be resumed either way.
   */
  resume?: boolean;
  /**
   * What `calibrate` of "modelshrink/runtime" found; for recipes that prune by "wanda", "sparsegpt" or
   * "obc", fit anew, or quantize by GPTQ.
   */
  calibration?: Calibration;
  /**
   * Runs the result in onnxruntime, and leaves tensors as they were, those of the largest errors first,
   * until it is good enough.
   */
  guard?: Guard;
  /** How many threads do the work, this one included; by default it alone. */
  workers?: number;
}

export interface ShrinkResult {
  /** The output by name; empty when it went to a `sink`. */
  files: Record<string, Blob>;
  /** The output of a one-file model. */
  bytes(): Promise<Uint8Array>;
  report: Report;
  /** With option `guard`: what it found and gave up. */
  guard?: GuardOutcome;
}

const runKeys = ["signal", "onProgress"] as const;
const writeKeys = [...runKeys, "sink", "resume", "workers", "calibration"] as const;
const maxWorkers = 64;

function checkRunOptions(options: object, keys: readonly string[]): void {
  checkKeys("options", checkObject("options", options), keys);
}

const toFiles = (files: readonly { name: string; sizeBytes: number }[]): FileInfo[] =>
  files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes }));

/** What is in a model, from its headers alone. */
export async function inspect(source: Source, options: RunOptions = {}): Promise<ModelInfo> {
  checkRunOptions(options, runKeys);
  return withModel(source, options, ({ core, model }) => {
    const { format, sizeBytes, files, metadata, tensors } = callLive(core, () =>
      unwrap(model.info()),
    );
    return Promise.resolve({
      format,
      inputBytes: sizeBytes,
      files: toFiles(files),
      metadata,
      tensors,
    });
  });
}

/** What makes an order of the tensors that a model has. */
type Chooser = (tensors: readonly CoreTensorInfo[]) => RemarkedOrder;
type Remarks = Omit<RemarkedOrder, "order" | "survey" | "sparse">;

function planOf({ core, model }: OpenModel, choose: Chooser) {
  return callLive(core, () => {
    const { tensors } = unwrap(model.info());
    const { order, survey, sparse, ...remarks } = choose(tensors);
    return {
      order,
      survey,
      sparse,
      remarks,
      planned: unwrap(model.plan(order.specs, order.options)),
    };
  });
}

/** The same with another name for the main output file, which may change what files say of each other. */
function renamed({ core, model }: OpenModel, { specs, options }: Order, mainName: string) {
  const order = { specs, options: { ...options, mainName } };
  return callLive(core, () => ({
    order,
    planned: unwrap(model.plan(order.specs, order.options)),
  }));
}

/** One of several files, which are meant to be opened by their index. */
const shardName = /-(\d+)-of-(\d+)\.safetensors$/;

function shardWarning({ name }: OpenFile): string | undefined {
  const [, part, count] = shardName.exec(name) ?? [];
  return part === undefined || Number(count) === 1
    ? undefined
    : `"${name}" is part ${Number(part)} of ${Number(count)}: for all of them give their index, ` +
        "model.safetensors.index.json, or their folder.";
}

/** Bits that say where zeros are, and the others: what a bitmask takes. */
function sparseBytes({ shape, outputBytes, sparsity = 0 }: ReportedTensor): number {
  return outputBytes * (1 - sparsity) + elementsOf(shape) / 8;
}

/** Why a pruned file is as large as before, and what makes it small. */
function sparseHint(format: FormatName, tensors: readonly ReportedTensor[]): string | undefined {
  const pruned = tensors.filter((it) => isPruned(it) && (it.sparsity ?? 0) >= 0.25);
  const isFloat = pruned.some(({ to }) => to.startsWith("float"));
  const inFile =
    format === "safetensors" ||
    (format === "onnx" && pruned.some(({ sparsity = 0 }) => sparsity > 0.67));
  const now = pruned.reduce((bytes, { outputBytes }) => bytes + outputBytes, 0);
  const sparse = pruned.reduce((bytes, tensor) => bytes + sparseBytes(tensor), 0);
  if (pruned.length === 0 || sparse > 0.95 * now) return undefined;
  return (
    `Zeros are stored like other numbers: the ${pruned.length} pruned tensors take ` +
    `${formatBytes(now)}, and would take ${formatBytes(sparse)} without them. ` +
    (isFloat
      ? "Quantize as well (weights), send the file compressed (gzip, brotli), or leave zeros out: " +
        (inFile ? "sparse: true in the recipe (--sparse)." : "toSparse(), for your own code.")
      : "Send the file compressed (gzip, brotli).")
  );
}

/** What someone who removes channels should know. */
function channelWarning(
  tensors: readonly PlannedTensor[],
  { asksForChannels, isCalibrated }: Remarks,
): string | undefined {
  if (!asksForChannels) return undefined;
  if (!tensors.some(isCut)) {
    // A graph that could lose nothing is refused: here something else was to stay.
    const kept = tensors.find(({ note }) => note?.includes("keeps its output channels"));
    return `No channel is removed${kept ? `: "${kept.name}" ${kept.note}` : ""}.`;
  }
  return isCalibrated
    ? undefined
    : "Channels are removed and nothing is fitted anew, which harms most models: give samples " +
        "(the option calibration, or --inputs of the command).";
}

/** The core's report with what only the recipe and the names of files know. */
function toReport({ files: [main] }: OpenModel, core: CoreReport, remarks: Remarks): Report {
  const { files, tensors, ...rest } = core;
  for (const [i, tensor] of tensors.entries()) {
    const note = remarks.notes[i];
    if (note !== undefined) tensor.note ??= note;
  }
  const report = { ...rest, files: toFiles(files), tensors };
  const warnings = [
    main && shardWarning(main),
    ...remarks.warnings,
    remarks.asksForSparse ? sparseWarning(core.format, tensors) : sparseHint(core.format, tensors),
    channelWarning(tensors, remarks),
    tensors.some(isChanged) ? undefined : remarks.ifIdle(core),
  ].filter((warning) => warning !== undefined);
  return warnings.length > 0 ? { ...report, warnings } : report;
}

/**
 * What `shrink` would do, and the exact size of its output, without reading any weight. Recipes that need a
 * calibration are planned without one as if every layer's inputs were known.
 */
export async function plan(
  source: Source,
  recipe: string | Recipe = "int8",
  options: RunOptions & Pick<ShrinkOptions, "calibration"> = {},
): Promise<Plan> {
  checkRunOptions(options, [...runKeys, "calibration"]);
  const calibration = checkCalibration(options.calibration);
  const checked = checkRecipe(recipe);
  return withModel(source, options, (opened) => {
    const { planned, remarks, sparse } = planOf(opened, (tensors) =>
      orderFor(checked, tensors, calibration ?? "assumed"),
    );
    if (sparse.length > 0) {
      remarks.asksForSparse = false;
      remarks.warnings.push(
        "Sparse tensors are planned as they are now: only shrink looks at how many zeros they have.",
      );
    }
    return Promise.resolve(toReport(opened, planned, remarks));
  });
}

/** Reads weights, before anything is written: what `take` then finds in the run. */
async function runSurvey(
  { core, files, pacer }: OpenModel,
  start: () => CoreResult<CoreSurvey>,
  options: RunOptions,
  take: (run: CoreSurvey) => void,
): Promise<void> {
  const run = callLive(core, () => unwrap(start()));
  const total = files.reduce((bytes, { size }) => bytes + size, 0);
  const meter = new Meter(options, "survey", total);
  try {
    await runSteps(run, {
      core,
      pacer,
      inputs: [rangesAheadOf(files)],
      onRead: (size) => {
        meter.advanceTo(meter.done + size);
      },
    });
    callLive(core, () => {
      take(run);
    });
    meter.advanceTo(Infinity);
  } finally {
    release(core, run);
  }
}

/** The order, with what only the weights can tell. */
async function completed(
  opened: OpenModel,
  survey: PruneSurvey | undefined,
  order: Order,
  options: RunOptions,
): Promise<Order> {
  const { model } = opened;
  const { specs } = order;
  if (survey) {
    const { tensors, allocation, sparsity } = survey;
    const start = () => model.survey(tensors, allocation, sparsity);
    await runSurvey(opened, start, options, (run) => {
      applyShares(survey, run.shares(), specs);
    });
  }
  if (!specs.some(({ prune }) => prune?.method === "channels")) return order;
  let removedChannels = "";
  const start = () => model.surveyChannels(specs, order.options);
  await runSurvey(opened, start, options, (run) => {
    removedChannels = run.removedChannels();
  });
  return { specs, options: { ...order.options, removedChannels } };
}

/** Reads, plans and writes. */
async function write(
  source: Source,
  choose: Chooser,
  options: ShrinkOptions,
): Promise<ShrinkResult> {
  checkRunOptions(options, writeKeys);
  const resume = checkBoolean("resume", options.resume ?? false);
  const workers = checkInteger("workers", options.workers ?? 0, 0, maxWorkers);
  const target = targetFromOption(options.sink, resume);
  return withModel(source, options, async (opened) => {
    const { remarks, survey, sparse, ...first } = planOf(opened, choose);
    let { order, planned } = first;
    const mainName = await target?.mainName(planned);
    if (mainName !== undefined) ({ order, planned } = renamed(opened, order, mainName));
    order = await completed(opened, survey, order, options);
    const calibration = checkCalibration(options.calibration);
    const { core, model } = opened;
    if (sparse.length > 0) {
      order = await withoutZeros(opened, order, sparse, { ...options, workers, calibration });
      const { specs, options: written } = order;
      planned = callLive(core, () => unwrap(model.plan(specs, written)));
    }
    const memory = new MemorySink();
    const sink = target?.sink() ?? memory;
    const more = { ...options, sink, workers, calibration };
    const found = await runOrder(opened, order, planned, more);
    const report = toReport(opened, found, remarks);
    if (target) {
      const message = "The output went to the sink that was given, not into memory.";
      return { files: {}, bytes: () => Promise.reject(new UnsupportedError(message)), report };
    }
    const blobs = memory.blobs();
    return {
      files: blobs,
      bytes: async () => {
        const [blob, ...others] = Object.values(blobs);
        if (!blob || others.length > 0) {
          throw new UnsupportedError("The output has several files: use `files`.");
        }
        return new Uint8Array(await blob.arrayBuffer());
      },
      report,
    };
  });
}

/** Writes a smaller model of the same format. */
export function shrink(
  source: Source,
  recipe: string | Recipe | undefined,
  options: ShrinkOptions & { guard: Guard },
): Promise<ShrinkResult & { guard: GuardOutcome }>;
export function shrink(
  source: Source,
  recipe?: string | Recipe,
  options?: ShrinkOptions,
): Promise<ShrinkResult>;
export async function shrink(
  source: Source,
  recipe: string | Recipe = "int8",
  options: ShrinkOptions = {},
): Promise<ShrinkResult> {
  const checked = checkRecipe(recipe);
  checkRunOptions(options, [...writeKeys, "guard"]);
  const { guard, ...rest } = options;
  if (guard !== undefined) {
    const given = typeof recipe === "string" ? presetNamed(recipe).recipe : recipe;
    return shrinkGuarded(shrink, source, given, guard, rest);
  }
  const calibration = checkCalibration(options.calibration);
  return write(source, (tensors) => orderFor(checked, tensors, calibration), rest);
}

/** Writes the model with its quantized weights as floats again, of the types that they once had. */
export async function restore(source: Source, options: ShrinkOptions = {}): Promise<ShrinkResult> {
  return write(source, restoringOrder, options);
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

const sizeOf = ({ files }: OpenModel) => files.reduce((bytes, { size }) => bytes + size, 0);

async function compareOpened(
  original: OpenModel,
  other: OpenModel,
  options: RunOptions,
): Promise<Report> {
  const { core, pacer } = original;
  const { tensors } = callLive(core, () => unwrap(original.model.info()));
  const meter = new Meter(options, "compare", sizeOf(original) + sizeOf(other));
  const run = callLive(core, () => unwrap(core.compareModels(original.model, other.model)));
  try {
    await runSteps(run, {
      core,
      pacer,
      inputs: [rangesAheadOf(original.files), rangesAheadOf(other.files)],
      onRead: (size) => {
        meter.advanceTo(meter.done + size);
      },
      onTensor: (tensor) => {
        meter.advanceTo(meter.done, tensors[tensor]?.name);
      },
    });
    meter.advanceTo(Infinity);
    const { files, ...report } = callLive(core, () => run.report());
    return { ...report, files: toFiles(files) };
  } finally {
    release(core, run);
  }
}
