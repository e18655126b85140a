/**
 * What only the weights of a model can tell before it is written: the shares of tensors that lose an amount together,
 * the channels that go, and the steps that give a size or an error. Loaded for recipes that ask for it alone.
 */
import { UnsupportedError } from "../base/errors.js";
import { Meter } from "../base/meter.js";
import { type PruneSurvey, applyShares } from "../recipe/pruning.js";
import type { Order } from "../recipe/specs.js";
import { applySteps, rateOf, type Rate, type TargetGroup } from "../recipe/targets.js";
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

/** Finds the steps of tensors with a target, and what all are expected to take. */
export async function findRates(
  opened: OpenModel,
  order: Order,
  targets: readonly TargetGroup[],
  options: Surveying,
): Promise<{ order: Order; rate: Rate }> {
  const groups = targets.length > 0 ? targets : [{ tensors: codesIn(order) }];
  const found = await survey(opened, { kind: "rates", order, groups }, options);
  if (targets.length > 0 && found.tensors.length === 0) {
    throw new UnsupportedError(
      "There is nothing to reach the target with: no weight of this model gets int8 codes. " +
        "ONNX, safetensors and graph models of TensorFlow.js have them.",
    );
  }
  return { order: applySteps(order, opened.info.format, found), rate: rateOf(found) };
}

/** The numbers of the tensors that are to get int8 codes. */
const codesIn = ({ specs, which }: Order): number[] =>
  Array.from(which.keys()).filter((i) => {
    const { keep, scheme } = specs[which[i]!]!;
    return !keep && scheme.type === "int8";
  });
