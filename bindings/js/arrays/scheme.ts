/** From the options of the array functions to the core's scheme: which elements share a scale. */
import { ArgumentError } from "../base/errors.js";
import { checkInteger, optional } from "../base/options.js";
import { checkAxis, maxDimension } from "../base/shape.js";
import type { CoreScheme } from "../core/types.js";
import type { NonFinite, QuantizedTensor } from "./tensor.js";
import { blockElementsOf, isBlockType, isFloatType, type QuantizedType } from "./types.js";

function checkGranularity(
  { axis: axisOption, blockSize: blockOption }: { axis?: unknown; blockSize?: unknown },
  rank: number,
): Pick<CoreScheme, "granularity" | "axis" | "blockSize"> {
  const last = rank - 1;
  const axis = optional(axisOption, (value) => checkAxis("axis", value, rank));
  const blockSize = optional(blockOption, (value) =>
    checkInteger("blockSize", value, 1, maxDimension),
  );
  if (blockSize !== undefined) {
    if (axis !== undefined && axis !== last) {
      throw new ArgumentError(`axis is ${axis}; with blockSize it must be the last axis, ${last}.`);
    }
    return { granularity: "block", axis: 0, blockSize };
  }
  if (axis !== undefined) return { granularity: "axis", axis, blockSize: 0 };
  return { granularity: "tensor", axis: 0, blockSize: 0 };
}

function refuseForFloats(type: QuantizedType, options: Record<string, unknown>): void {
  for (const key of ["axis", "blockSize", "symmetric"]) {
    if (options[key] !== undefined) {
      throw new ArgumentError(`${key} has no meaning for type ${type}, which has no scales.`);
    }
  }
}

/** ggml's formats have their own blocks; a result that is handed back names their size. */
function refuseForBlocks(type: QuantizedType, options: Record<string, unknown>): void {
  const { axis, blockSize, symmetric } = options;
  const ownSize = blockElementsOf(type);
  if (axis === undefined && symmetric === undefined && (blockSize ?? ownSize) === ownSize) {
    return;
  }
  throw new ArgumentError(
    `type ${type} has blocks of ${ownSize} and takes neither axis, symmetric nor another blockSize.`,
  );
}

/** Gives the core's scheme; throws an ArgumentError for options that the type does not have. */
export function schemeOf(
  type: QuantizedType,
  options: Record<string, unknown>,
  rank: number,
  symmetric: boolean,
  nonFinite: NonFinite = "error",
): CoreScheme {
  if (isFloatType(type)) refuseForFloats(type, options);
  if (isBlockType(type)) refuseForBlocks(type, options);
  const given = isBlockType(type) ? { blockSize: blockElementsOf(type) } : options;
  return {
    type,
    ...checkGranularity(given, rank),
    rule: "onnx-linear",
    symmetric,
    transposed: false,
    nonFinite,
    saturate: false,
  };
}

/** Gives the fields of a result that say which elements share a scale. */
export function sharing(scheme: CoreScheme): Pick<QuantizedTensor, "axis" | "blockSize"> {
  if (scheme.granularity === "axis") return { axis: scheme.axis };
  return scheme.granularity === "block" ? { blockSize: scheme.blockSize } : {};
}
