/** Least squares on the weights of layers whose inputs are known. */
import { ArgumentError } from "../base/errors.js";
import {
  checkInteger,
  checkKeys,
  checkNumber,
  checkObject,
  show,
  wrongValue,
} from "../base/options.js";
import { checkShape } from "../base/shape.js";
import { copyOut, withScratch, type Scratch } from "../core/heap.js";
import { unwrap, withLayers } from "../core/load.js";
import type {
  CoreLayer,
  CoreLayerFit,
  CoreLayerFitResult,
  CoreModule,
  CoreScheme,
  HeapBytes,
} from "../core/types.js";
import { checkFloats, checkFloatsOf, checkMask, type Floats } from "./floats.js";
import { Gram } from "./gram.js";
import { sharing } from "./scheme.js";
import { takeFloats, type OutOptions } from "./out.js";
import { takeParts, type QuantizedTensor } from "./tensor.js";

/** A layer whose inputs are known. */
export interface LayerOptions {
  /** The shape of the weights: [outputs, inputs], or a convolution's [outputs, channels, height, width]. */
  shape: readonly number[];
  /** The axis of the outputs: 0 (the default), or 1 of a matrix [inputs, outputs], as MatMul's. */
  outputAxis?: number;
  /** The moments of the layer's inputs. */
  gram: Gram;
  /** Is added to the diagonal of XᵀX, as a fraction of its mean, 0 to 100; 0.01 by default. */
  damping?: number;
}

/** The options of {@link refit}. */
export interface RefitOptions extends LayerOptions, OutOptions {
  /** The sums Σ x x̂ᵀ, [columns, columns], where the inputs changed from x to x̂ and `gram` is of x̂. */
  crossSums?: Floats;
}

/** The error of a layer's outputs, as means over the inputs that were seen. */
export interface LayerError {
  /** The mean of ‖Wx − Ŵx‖². */
  error: number;
  /** The mean of ‖Wx‖². */
  power: number;
  /** The quotient error / power; 0 when the power is 0. */
  relative: number;
}

/** The largest damping that is allowed. */
const maxDamping = 100;
const defaultDamping = 0.01;

/** Gives the damping, or the default; throws an ArgumentError for a wrong one. */
export function checkDamping(value: unknown): number {
  if (value === undefined) return defaultDamping;
  return checkNumber("damping", value, 0, maxDamping);
}

/** Gives `value` when it is a Gram of the layer's inputs; throws an ArgumentError otherwise. */
export function checkGram(value: unknown, layer: CoreLayer): Gram {
  if (!(value instanceof Gram)) {
    throw wrongValue("gram", value, "a Gram of the layer's inputs");
  }
  if (value.columns !== layer.columns) {
    throw new ArgumentError(
      `gram has ${value.columns} columns, the layer ${layer.columns} inputs.`,
    );
  }
  return value;
}

/** Gives the rows (outputs) and columns (inputs) of weights; throws an ArgumentError for a wrong shape. */
export function layerOf(w: Float32Array, shapeOption: unknown, outputAxis: unknown): CoreLayer {
  const shape = checkShape(shapeOption, w.length);
  if (shape.length < 2) {
    throw new ArgumentError(`shape is ${show(shape)}; a layer has outputs and inputs.`);
  }
  const axis = checkInteger("outputAxis", outputAxis ?? 0, 0, shape.length === 2 ? 1 : 0);
  const rows = shape[axis]!;
  return { rows, columns: rows === 0 ? 0 : w.length / rows, inputsFirst: axis === 1 };
}

const layerKeys = ["shape", "outputAxis", "gram", "damping"] as const;

function checkLayer(w: Floats, options: unknown, more: readonly string[] = []) {
  const weights = checkFloats("weights", w);
  const given = checkObject("options", options);
  checkKeys("options", given, [...layerKeys, ...more]);
  const layer = layerOf(weights, given.shape, given.outputAxis);
  return {
    given,
    weights,
    layer,
    gram: checkGram(given.gram, layer),
    damping: checkDamping(given.damping),
  };
}

const momentsOf = (scratch: Scratch, gram: Gram) => ({
  sums: scratch.copyIn(gram.sums),
  samples: gram.rows,
});

/** Gives the moments, and the rows by which a fit is judged. */
const judgedMomentsOf = (scratch: Scratch, gram: Gram) => ({
  ...momentsOf(scratch, gram),
  heldOut: scratch.copyIn(gram.heldOut),
});

/** The core's arguments for a fit, without the layer and the places in the heap. */
export type FitRequest = Omit<
  CoreLayerFit,
  keyof CoreLayer | "weights" | "mask" | "sums" | "heldOut" | "norms"
>;

/** A fit as the core leaves it in the heap. */
export interface Fitted extends CoreLayerFitResult {
  weights: HeapBytes;
  mask: HeapBytes;
}

/** Prunes or quantizes a layer in the core; `collect` copies what is wanted out of the heap. */
export function fitLayer<T>(
  w: Float32Array,
  { layer, gram }: { layer: CoreLayer; gram: Gram },
  request: FitRequest,
  collect: (core: CoreModule, found: Fitted) => T,
): T {
  return withScratch((core, scratch) => {
    const places = { weights: scratch.copyIn(w), mask: scratch.allocate(w.length) };
    const moments =
      request.method === "wanda" && gram.normsOnly
        ? { norms: scratch.copyIn(gram.norms()) }
        : judgedMomentsOf(scratch, gram);
    const found = unwrap(
      withLayers(core).fitLayer({ ...request, ...layer, ...moments, ...places }),
    );
    return collect(core, { ...found, ...places });
  });
}

/** Gives the codes of a fit, in the arrays of `out` where it is given. */
export function quantizedOf(
  core: CoreModule,
  layer: CoreLayer,
  scheme: CoreScheme,
  { found, out, inputs }: { found: Fitted; out: unknown; inputs: readonly ArrayBufferView[] },
): QuantizedTensor {
  const type = scheme.type as QuantizedTensor["type"];
  const [codes, scales, zeroPoints] = [found.codes!, found.scales!, found.zeroPoints!];
  const parts = takeParts(type, out, inputs, {
    ...{ codes: codes.size, scales: scales.size, zeroPoints: zeroPoints.size },
  });
  copyOut(core, codes, parts.data);
  copyOut(core, scales, parts.scale);
  if (parts.zeroPoint) copyOut(core, zeroPoints, parts.zeroPoint);
  return {
    type,
    shape: layer.inputsFirst ? [layer.columns, layer.rows] : [layer.rows, layer.columns],
    ...sharing(scheme),
    ...parts,
  };
}

/** The inputs of a layer that is fitted anew: their sums, and rows by which the fit is judged. */
export interface RefitInputs {
  gram: Gram;
  crossSums?: Float32Array;
  /** The held-out rows, and what they were before the inputs changed. */
  heldOut?: Float32Array;
  heldOutBefore?: Float32Array;
}

/** The result of {@link refitMasked}. */
export interface RefittedWeights {
  weights: Float32Array;
  /** True when the held-out rows say that the fit does not help; the weights are then those that the mask keeps. */
  isLeftOut: boolean;
}

/** Fits the weights that `mask` keeps in the core, into `out` where it is given. */
export function refitMasked(
  w: Float32Array,
  mask: Uint8Array,
  layer: CoreLayer,
  { inputs, damping, out }: { inputs: RefitInputs; damping: number; out?: unknown },
): RefittedWeights {
  const { gram, ...others } = inputs;
  const into = takeFloats(out, [w, mask], w.length);
  return withScratch((core, scratch) => {
    const weights = scratch.copyIn(w);
    const places = Object.entries(others).map(([name, rows]: [string, Float32Array]) => [
      name,
      scratch.copyIn(rows),
    ]);
    const { isLeftOut } = unwrap(
      withLayers(core).fitLayer({
        ...{ method: "refit", ...layer, weights, mask: scratch.copyIn(mask), damping },
        ...momentsOf(scratch, gram),
        ...(Object.fromEntries(places) as Partial<CoreLayerFit>),
      }),
    );
    return { weights: copyOut(core, weights, into), isLeftOut };
  });
}

/**
 * Fits the weights that a mask keeps (1) anew by least squares, so that the layer's outputs stay; the others become
 * 0. Rows that the Gram held out say whether that helps: weights stay where it does not. With `crossSums` there are no
 * such rows. Needs `init()`.
 *
 * @param w - The original weights, in row-major order of `shape`.
 * @returns The fitted weights, of the same shape.
 * @throws {@link ArgumentError} when the parts do not fit together; {@link OutOfMemoryError}.
 */
export function refit(w: Floats, mask: Uint8Array, options: RefitOptions): Float32Array {
  const { given, weights, layer, gram, damping } = checkLayer(w, options, ["crossSums", "out"]);
  checkMask(mask, w.length);
  const inputs =
    given.crossSums === undefined
      ? { gram, heldOut: gram.heldOut }
      : { gram, crossSums: checkFloats("crossSums", given.crossSums) };
  return refitMasked(weights, mask, layer, { inputs, damping, out: given.out }).weights;
}

/**
 * Says what replacing the weights `w` by `approximation` does to the layer's outputs. Needs `init()`.
 *
 * @throws {@link ArgumentError} when the parts do not fit together.
 */
export function layerError(
  w: Floats,
  approximation: Floats,
  options: Omit<LayerOptions, "damping">,
): LayerError {
  const { weights, layer, gram } = checkLayer(w, options);
  const other = checkFloatsOf(weights.length, "approximation", approximation);
  return withScratch((core, scratch) => {
    const { squaredError: error, power } = unwrap(
      withLayers(core).layerError({
        ...layer,
        ...momentsOf(scratch, gram),
        weights: scratch.copyIn(weights),
        approximation: scratch.copyIn(other),
      }),
    );
    return { error, power, relative: power > 0 ? error / power : 0 };
  });
}

/**
 * Gives the numbers to add to a layer's bias, one for each output, so that the mean of each output stays when `w`
 * is replaced by `approximation`. `gram` is of the inputs that `w` had; `changed` of those that `approximation`
 * has, where they differ. Needs `init()`.
 *
 * @throws {@link ArgumentError} when the parts do not fit together.
 */
export function biasCorrection(
  w: Floats,
  approximation: Floats,
  options: Omit<LayerOptions, "damping"> & OutOptions & { changed?: Gram },
): Float32Array {
  const { given, weights, layer, gram } = checkLayer(w, options, ["changed", "out"]);
  const other = checkFloatsOf(weights.length, "approximation", approximation);
  const changed = given.changed === undefined ? gram : checkGram(given.changed, layer);
  const into = takeFloats(given.out, [weights, other], layer.rows);
  return withScratch((core, scratch) => {
    const out = scratch.allocate(layer.rows * Float32Array.BYTES_PER_ELEMENT);
    unwrap(
      withLayers(core).biasCorrection({
        ...layer,
        weights: scratch.copyIn(weights),
        mean: scratch.copyIn(gram.mean()),
        approximation: scratch.copyIn(other),
        approximateMean: scratch.copyIn(changed.mean()),
        out,
      }),
    );
    return copyOut(core, out, into);
  });
}
