/** Writes models: finds first what only the weights can tell, then runs every unit into the sink. */
import { behindDoor } from "../base/door.js";
import { formats } from "../base/formats.js";
import { checkBoolean, checkOneOf, optional } from "../base/options.js";
import type { Rows } from "../core/table.js";
import type { CoreReportHead, CoreTensorInfo } from "../core/types.js";
import type { PlannedOutput, Target } from "../files/sink.js";
import type { FileSetSource } from "../files/open.js";
import type { Source } from "../files/source.js";
import { withTarget } from "../files/with-target.js";
import { checkCalibration, type Calibration } from "../recipe/calibration.js";
import type { CheckedRecipe } from "../recipe/check.js";
import { orderFor, restoredTypes, restoringOrder, type RemarkedOrder } from "../recipe/order.js";
import { defaultGrowth } from "./growth.js";
import { checkRunOptions, writeKeys } from "./options.js";
import { type OpenModel, withModel } from "./open.js";
import { runInRange } from "./overflow.js";
import { withPlan, type PlannedOrder } from "./planned-order.js";
import { toReport } from "./report.js";
import { resultElsewhere, resultIn, resultWithout } from "./result.js";
import type {
  PlannedTensor,
  RestoreOptions,
  RunOptions,
  WriteOptions,
  WriteResult,
} from "./types.js";

/** Makes the order for the tensors that a model has. */
type Chooser = (tensors: Rows<CoreTensorInfo>) => RemarkedOrder;

/** What users pass, or what is opened already. */
export type AnySource = Source | FileSetSource;

/** Where modelshrink itself wants an output, which has to be of a model that can be loaded. */
export interface OwnOutput {
  /** The main file's name where the sink has none for it. */
  name?: string;
  /** Takes the output instead of a sink. */
  target?: Target;
  /** Throws for a model that could not be loaded then. */
  check: (tensors: Iterable<PlannedTensor>) => void;
}

type Running = RunOptions & {
  workers: number | undefined;
  calibration: Calibration | undefined;
};

/**
 * Plans what is to be written: the chosen order, with what only the weights can tell, and the name of the main
 * file.
 */
async function complete(
  opened: OpenModel,
  plan: PlannedOrder,
  remarked: RemarkedOrder,
  mainName: string | undefined,
  options: Running,
): Promise<void> {
  const { order: chosen, survey, targets, sparse, asksForChannels } = remarked;
  let order = chosen;
  if (survey || asksForChannels || targets.length > 0) {
    const { withShares, withChannels, findRates } = await import("./surveys.js");
    if (survey) order = await withShares(opened, order, survey, options);
    if (asksForChannels) order = await withChannels(opened, order, options);
    if (targets.length > 0) {
      const found = await findRates(opened, order, targets, options);
      order = found.order;
      remarked.rate = found.rate;
    }
  }
  if (sparse.length > 0) {
    const { countingOrder, withoutZeros } = await import("./sparse.js");
    if (order !== chosen) plan.change(countingOrder(order, sparse));
    order = await withoutZeros(opened, plan, order, sparse, options);
  }
  if (order !== chosen) {
    const name = mainName === undefined ? {} : { mainName };
    plan.change({ ...order, options: { ...order.options, ...name } });
  } else if (mainName !== undefined) {
    plan.rename(mainName);
  }
}

const plannedOutput = ({ format, files }: CoreReportHead): PlannedOutput => {
  const { title, extension } = formats[format];
  return { numFiles: files.length, kind: { title, extension: extension(files.length) } };
};

/** Checks the options, then reads, plans and writes. */
async function write(
  source: AnySource,
  choose: Chooser,
  options: WriteOptions,
  own?: OwnOutput,
): Promise<WriteResult> {
  const resume = checkBoolean("resume", options.resume ?? false);
  const skipIdle = checkBoolean("skipIdle", options.skipIdle ?? false);
  return withTarget(
    options.sink,
    resume,
    (target) => writeTo(target, source, choose, { ...options, skipIdle, own }),
    own?.target,
  );
}

/** Reads, plans and writes into a target; into memory without one. */
function writeTo(
  target: Target | undefined,
  source: AnySource,
  choose: Chooser,
  options: WriteOptions & { skipIdle: boolean; own: OwnOutput | undefined },
): Promise<WriteResult> {
  const { workers, maxGrowth = defaultGrowth } = options;
  const calibration = checkCalibration(options.calibration);
  return withModel(source, options, async (opened) => {
    const chosen = choose(opened.info.tensors);
    const first =
      chosen.sparse.length > 0
        ? (await import("./sparse.js")).firstOrder(opened.info.format, chosen)
        : chosen.order;
    return withPlan(opened, first, maxGrowth, async (plan) => {
      options.own?.check(plan.report.tensors);
      const mainName = (await target?.mainName(plannedOutput(plan.report))) ?? options.own?.name;
      await complete(opened, plan, chosen, mainName, { ...options, workers, calibration });
      const running = { ...options, workers, calibration };
      const { found, memory } = await runInRange(opened, plan, chosen, target, running);
      const report = await toReport(opened, found, chosen);
      if (!memory) return resultWithout("Nothing changes, so nothing was written.", report);
      return target ? resultElsewhere(report) : resultIn(memory.blobs(), report);
    });
  });
}

/** Writes a smaller model of the same format; the recipe is checked already. */
export async function shrinkModel(
  source: AnySource,
  recipe: CheckedRecipe,
  options: WriteOptions,
  output?: OwnOutput,
): Promise<WriteResult> {
  checkRunOptions(options, writeKeys);
  const calibration = checkCalibration(options.calibration);
  return write(source, (tensors) => orderFor(recipe, tensors, calibration), options, output);
}

/**
 * Writes a model with its quantized weights as floats again, of the types that they once had: safetensors, GGUF and
 * TensorFlow.js. Quantized ONNX models stay as they are.
 *
 * @throws The same errors as `shrink`.
 */
export async function restore(source: Source, options: RestoreOptions = {}): Promise<WriteResult> {
  return behindDoor(options, async () => {
    checkRunOptions(options, [...writeKeys.filter((it) => it !== "calibration"), "weights"]);
    const weights = optional(options.weights, (it) => checkOneOf("weights", it, restoredTypes));
    return write(source, (tensors) => restoringOrder(tensors, weights), options);
  });
}
