/** The moments of a model's layers that `calibrate` found, and the core's way to them. */
import { ArgumentError } from "../base/errors.js";
import { smallestOf } from "../base/extremes.js";
import { checkObject, show } from "../base/options.js";
import { someRow, type Rows } from "../core/table.js";
import type { CoreTensorInfo } from "../core/types.js";
import { Gram } from "../arrays/gram.js";
import type { OwnReason } from "./reasons.js";

/**
 * The moments of layers' inputs by the name of the layer's weight: one Gram, or one for each group of a convolution
 * or direction of a recurrent layer. {@link Gram.toBytes} saves them.
 */
export type Calibration = Readonly<Record<string, Gram | readonly Gram[]>>;

/** Gives a user's calibration when it is one, undefined for none; throws an ArgumentError for anything else. */
export function checkCalibration(value: unknown): Calibration | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Promise) {
    throw new ArgumentError("calibration is a Promise: await calibrate().");
  }
  const calibration = checkObject("calibration", value);
  for (const [name, grams] of Object.entries(calibration)) {
    const list: unknown[] = Array.isArray(grams) ? grams : [grams];
    if (list.length === 0 || !list.every((gram) => gram instanceof Gram)) {
      throw new ArgumentError(
        `calibration[${show(name)}] is ${show(grams)}; it must be a Gram, or one for each group ` +
          "(Gram.fromBytes reads what toBytes saved).",
      );
    }
  }
  return calibration as Calibration;
}

/** Gives the Grams of the tensor `name`. */
export const gramsOf = (calibration: Calibration, name: string): readonly Gram[] | undefined => {
  const found = Object.hasOwn(calibration, name) ? calibration[name] : undefined;
  return found instanceof Gram ? [found] : found;
};

/** Tells whether the calibration was made with a model that has some of these tensors. */
export const knowsAny = (calibration: Calibration, tensors: Rows<CoreTensorInfo>): boolean =>
  someRow(tensors, ({ name }) => Object.hasOwn(calibration, name));

/** Gives the Grams of a tensor, or the reason why there are none. Throws an ArgumentError when they do not fit it. */
export function gramsFor(
  calibration: Calibration,
  tensor: CoreTensorInfo,
): { grams: readonly Gram[] } | { reason: OwnReason } {
  const { layer } = tensor;
  if (!layer) return { reason: { code: "noMatrix" } };
  const grams = gramsOf(calibration, tensor.name);
  if (!grams) return { reason: { code: "inputsNotSeen" } };
  const fits = ({ columns, rows, normsOnly }: Gram) =>
    columns === layer.columns && rows > 0 && !normsOnly;
  if (grams.length !== layer.groups || !grams.every(fits)) {
    throw new ArgumentError(
      `calibration[${show(tensor.name)}] does not fit: the layer has ${layer.columns} inputs` +
        `${layer.groups > 1 ? ` in each of ${layer.groups} groups` : ""}, and needs rows of them. ` +
        "Was it made with another model? Calibrate this one.",
    );
  }
  return { grams };
}

/** Counts the rows that each group can be judged by. */
export const heldOutOf = (grams: readonly Gram[]): number =>
  smallestOf(grams.map(({ numHeldOut }) => numHeldOut));

/** Gives a value that tells calibrations apart, for runs that are resumed. */
export const digestOf = (calibration: Calibration | undefined): unknown =>
  calibration &&
  Object.keys(calibration)
    .sort()
    .map((name) => [name, gramsOf(calibration, name)!.map((gram) => [gram.rows, ...gram.norms()])]);
