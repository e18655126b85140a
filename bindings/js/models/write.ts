/** Writes models: surveys first what only the weights can tell, then runs every unit into the sink. */
import { UnsupportedError } from "../base/errors.js";
import { Meter } from "../base/meter.js";
import { checkInteger, checkBoolean } from "../base/options.js";
import { unwrap } from "../core/load.js";
import type { CoreSurvey, CoreResult } from "../core/types.js";
import { rangesAheadOf } from "../files/ranges.js";
import type { Target } from "../files/sink.js";
import type { Source } from "../files/source.js";
import { MemorySink } from "../files/target.js";
import { withTarget } from "../files/user-sink.js";
import { checkCalibration } from "../recipe/calibration.js";
import type { CheckedRecipe } from "../recipe/check.js";
import { orderFor, restoringOrder, type Order } from "../recipe/order.js";
import { type PruneSurvey, applyShares } from "../recipe/pruning.js";
import { maxWorkers, checkRunOptions, writeKeys } from "./inspect.js";
import { release, type OpenModel, withModel } from "./open.js";
import { type Chooser, renamed, planOf } from "./plan.js";
import { toReport } from "./report.js";
import { runOrder } from "./run.js";
import { withoutZeros } from "./sparse.js";
import { runSteps, callLive } from "./steps.js";
import type { WriteOptions, WriteResult, RunOptions } from "./types.js";

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

/** Checks the options, then reads, plans and writes. */
async function write(source: Source, choose: Chooser, options: WriteOptions): Promise<WriteResult> {
  checkRunOptions(options, writeKeys);
  const resume = checkBoolean("resume", options.resume ?? false);
  const workers = checkInteger("workers", options.workers ?? 0, 0, maxWorkers);
  return withTarget(options.sink, resume, (target) =>
    writeTo(target, source, choose, { ...options, workers }),
  );
}

/** Reads, plans and writes into a target; into memory without one. */
function writeTo(
  target: Target | undefined,
  source: Source,
  choose: Chooser,
  options: WriteOptions & { workers: number },
): Promise<WriteResult> {
  const { workers } = options;
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

/** Writes a smaller model of the same format; `recipe` is checked already. */
export async function shrinkModel(
  source: Source,
  recipe: CheckedRecipe,
  options: WriteOptions,
): Promise<WriteResult> {
  checkRunOptions(options, writeKeys);
  const calibration = checkCalibration(options.calibration);
  return write(source, (tensors) => orderFor(recipe, tensors, calibration), options);
}

/** Writes the model with its quantized weights as floats again, of the types that they once had. */
export async function restore(source: Source, options: WriteOptions = {}): Promise<WriteResult> {
  return write(source, restoringOrder, options);
}
