/**
 * What only the weights of a model can tell before it is written: the shares of tensors that lose an amount together, and
 * the channels that go. Loaded for recipes that ask for it alone.
 */
import { Meter } from "../base/meter.js";
import { unwrap } from "../core/load.js";
import type { CoreSurvey } from "../core/types.js";
import { rangesAheadOf } from "../files/ranges.js";
import { type PruneSurvey, applyShares } from "../recipe/pruning.js";
import type { Order } from "../recipe/specs.js";
import { release, type OpenModel } from "./open.js";
import type { PlannedOrder } from "./planned-order.js";
import { callLive, runSteps } from "./steps.js";
import type { RunOptions } from "./types.js";

/** Runs a survey, and gives what `take` finds in it at its end. */
async function runSurvey<T>(
  { core, files, pacer }: OpenModel,
  run: CoreSurvey,
  options: RunOptions,
  take: (run: CoreSurvey) => T,
): Promise<T> {
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
    const found = callLive(core, () => take(run));
    meter.advanceTo(Infinity);
    return found;
  } finally {
    release(core, run);
  }
}

/** Gives the order with the shares of tensors that lose one amount together. */
export async function withShares(
  opened: OpenModel,
  order: Order,
  survey: PruneSurvey,
  options: RunOptions,
): Promise<Order> {
  const { core, model } = opened;
  const { tensors, allocation, sparsity } = survey;
  const run = callLive(core, () => unwrap(model.survey(tensors, allocation, sparsity)));
  const shares = await runSurvey(opened, run, options, () => run.shares());
  return applyShares(survey, shares, order);
}

/** Gives the order with the channels that go, if any; `plan` has an order that may lose the same. */
export async function withChannels(
  opened: OpenModel,
  plan: PlannedOrder,
  order: Order,
  options: RunOptions,
): Promise<Order> {
  const run = plan.surveyChannels();
  const removedChannels = await runSurvey(opened, run, options, () => run.removedChannels());
  return { ...order, options: { ...order.options, removedChannels } };
}
