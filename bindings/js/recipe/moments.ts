/** The sums of a calibration as the core reads them; loaded by runs that do. */
import { ModelShrinkError } from "../base/errors.js";
import type { Rows } from "../core/table.js";
import type { CoreTensorInfo } from "../core/types.js";
import { gramsOf, heldOutOf, type Calibration } from "./calibration.js";

/** Gives input 1 of a run for a tensor: the sums of its groups, one after the other, and then their held-out rows. */
export function momentsOf(
  calibration: Calibration | undefined,
  tensors: Rows<CoreTensorInfo>,
  { file, size }: { file: number; size: number },
): Uint8Array {
  const tensor = tensors.at(file);
  const grams = calibration && tensor ? gramsOf(calibration, tensor.name) : undefined;
  if (!grams) throw new ModelShrinkError("The core asked for unknown moments.", "internal");
  const bytes = new Uint8Array(size);
  const count = heldOutOf(grams) * grams[0]!.columns;
  let at = 0;
  for (const floats of [
    ...grams.map(({ sums }) => sums),
    ...grams.map(({ heldOut }) => heldOut.subarray(0, count)),
  ]) {
    bytes.set(new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength), at);
    at += floats.byteLength;
  }
  return bytes;
}
