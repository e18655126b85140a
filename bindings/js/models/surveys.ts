/**
 * What only the weights of a model can tell before it is written: the shares of tensors that lose an amount together, and
 * the channels that go. Loaded for recipes that ask for it alone.
 */
import { Meter } from "../base/meter.js";
import { type PruneSurvey, applyShares } from "../recipe/pruning.js";
import type { Order } from "../recipe/specs.js";
import { runJob } from "./jobs.js";
import type { OpenModel } from "./open.js";
import type { Results, WholeJob } from "./protocol.js";
import type { RunOptions } from "./types.js";

type Surveying = RunOptions & { workers: number | undefined };

/** Does a job that looks at all weights. */
async function survey<Job extends WholeJob>(
  opened: OpenModel,
  job: Job,
  options: Surveying,
): Promise<Results[Job["kind"]]> {
  const total = opened.files.reduce((bytes, { size }) => bytes + size, 0);
  const meter = new Meter(options, "survey", total);
  const found = await runJob([opened], job, options.workers, (bytes) => {
    meter.advanceTo(meter.done + bytes);
  });
  meter.advanceTo(Infinity);
  return found;
}

/** Gives the order with the shares of tensors that lose one amount together. */
export async function withShares(
  opened: OpenModel,
  order: Order,
  wanted: PruneSurvey,
  options: Surveying,
): Promise<Order> {
  const shares = await survey(opened, { kind: "shares", ...wanted }, options);
  return applyShares(wanted, shares, order);
}

/** Gives the order with the channels that go, if any. */
export async function withChannels(
  opened: OpenModel,
  order: Order,
  options: Surveying,
): Promise<Order> {
  const removedChannels = await survey(opened, { kind: "channels", order }, options);
  return { ...order, options: { ...order.options, removedChannels } };
}
