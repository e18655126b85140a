/** The values that a model's layers read become outputs of the model, and are summed up. */
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { elementsOf } from "../base/shape.js";
import type { CoreTap } from "../core/types.js";
import type { ConvWindow, Gram } from "../arrays/gram.js";
import type { ReadOptions } from "../files/raw.js";
import type { Source } from "../files/source.js";
import { MemorySink } from "../files/target.js";
import { keepingOrder } from "../recipe/order.js";
import { defaultGrowth } from "../models/growth.js";
import { withModel } from "../models/open.js";
import { withPlan } from "../models/planned-order.js";
import { runPlan } from "../models/run.js";
import type { LayerInput, TensorInfo } from "../models/types.js";
import type { ModelFiles } from "./model-files.js";
import { Session, type OrtModule, type SessionOptions } from "./session.js";

/** A weight whose inputs are summed up. */
export interface Layer {
  tensor: TensorInfo;
  /** A Gram for each group or direction. */
  grams: readonly Gram[];
}

/** A layer and one of its inputs, whose values are summed up. */
export interface Reader {
  layer: Layer;
  input: LayerInput;
}

/** A value of the graph that becomes the output `output` of the model, and its readers. */
export interface Tap extends CoreTap {
  output: string;
  readers: Reader[];
}

/** Gives the number of inputs of each output of a layer; undefined where they cannot be seen or are too many. */
export function columnsOf(tensor: TensorInfo, maxColumns: number): number | undefined {
  const { shape, consumer, isWeight, layer, layerInputs = [] } = tensor;
  // Nothing computes the moments of volumes.
  const isFlat = shape.length <= (consumer === "Conv" ? 4 : 3);
  const isSeen = layer && isWeight && isFlat && layerInputs.length > 0;
  return isSeen && layer.columns <= maxColumns ? layer.columns : undefined;
}

/** Gives a tap for each value, once however many layers read it. */
export function tapsOf(readers: readonly Reader[]): Tap[] {
  const taps = new Map<string, Tap>();
  for (const reader of readers) {
    const { graph = 0, value } = reader.input;
    const key = `${graph} ${value}`;
    const { type } = reader.layer.tensor;
    const output = `modelshrink_tap_${taps.size}`;
    const tap = taps.get(key) ?? { graph, value, type, output, readers: [] };
    taps.set(key, tap);
    tap.readers.push(reader);
  }
  return [...taps.values()];
}

/** Writes a model with outputs for the taps into memory. Throws an UnsupportedError when there are none. */
export async function withTaps(
  model: Source,
  taps: readonly Tap[],
  reading: ReadOptions,
): Promise<ModelFiles> {
  if (taps.length === 0) {
    throw new UnsupportedError(
      "This model has no MatMul, Gemm, Conv or recurrent layer whose inputs can be seen.",
    );
  }
  return withModel(model, reading, (opened) => {
    const kept = keepingOrder(opened.info.tensors);
    const order = { ...kept, options: { ...kept.options, taps: [...taps] } };
    return withPlan(opened, order, defaultGrowth, async (plan) => {
      const sink = new MemorySink();
      await runPlan(opened, plan, { ...reading, sink, calibration: undefined, workers: 0 });
      const [main, ...others] = sink.take();
      const externalData = others.map(({ name, bytes }) => ({ path: name, data: bytes }));
      return { main: main!.bytes, externalData };
    });
  });
}

/** The options of a session that shows its layers' inputs. */
export interface TappedOptions extends ReadOptions {
  session: SessionOptions;
}

/** Loads what {@link withTaps} wrote. */
export function openTapped(
  ort: OrtModule,
  files: ModelFiles,
  { session }: TappedOptions,
): Promise<Session> {
  return Session.open(ort, files, "the model with its layers' inputs as outputs", session);
}

/** Gives a convolution's pads, which for SAME_UPPER and SAME_LOWER depend on the size `dims` of its input. */
function padsOf(
  { pads, autoPad, strides, dilations }: LayerInput,
  dims: readonly number[],
  kernel: number[],
) {
  if (autoPad !== "SAME_UPPER" && autoPad !== "SAME_LOWER") return pads;
  const totals = kernel.map((size, i) => {
    const stride = strides?.[i] ?? 1;
    const reach = (size - 1) * (dilations?.[i] ?? 1) + 1;
    const length = dims[2 + i]!;
    return Math.max(0, (Math.ceil(length / stride) - 1) * stride + reach - length);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return autoPad === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

function addConvTo(
  { layer: { tensor, grams }, input }: Reader,
  values: Float32Array,
  dims: readonly number[],
) {
  const kernelShape = tensor.shape.slice(2);
  const pads = padsOf(input, dims, kernelShape);
  for (const [groupIndex, gram] of grams.entries()) {
    const window: ConvWindow = {
      // Neighbours are alike: more places of one image would tell little more.
      maxRows: Math.max(256, 4 * gram.columns),
      ...{ kernelShape, group: grams.length, groupIndex },
      ...(input.strides ? { strides: input.strides } : {}),
      ...(input.dilations ? { dilations: input.dilations } : {}),
      ...(pads ? { pads } : {}),
    };
    gram.addConv(values, dims, window);
  }
}

/**
 * Sums up a recurrent layer's states: [directions, batch, states], or those after each step. The state after the last
 * step is no input.
 */
function addHiddenTo(
  { layer: { grams }, input: { hidden } }: Reader,
  values: Float32Array,
  dims: readonly number[],
) {
  const [batch = 0, states = 0] = dims.slice(-2);
  const numSteps = hidden === "initial" ? 1 : dims[0]!;
  const size = batch * states;
  for (const [direction, gram] of grams.entries()) {
    const isReverse = hidden === "reverse" || (hidden === "bidirectional" && direction === 1);
    const last = isReverse ? 0 : numSteps - 1;
    for (let step = 0; step < numSteps; ++step) {
      if (hidden !== "initial" && step === last) continue;
      const at = (step * grams.length + direction) * size;
      gram.add(values.subarray(at, at + size));
    }
  }
}

/** Tells whether a value has all of a layer's inputs; a node that reads a slice of the weights has fewer. */
function fits({ layer: { tensor, grams }, input: { hidden } }: Reader, dims: readonly number[]) {
  const { columns } = grams[0]!;
  if (tensor.consumer === "Conv") {
    const perChannel = elementsOf(tensor.shape.slice(2));
    return dims.length === tensor.shape.length && dims[1]! * perChannel === columns * grams.length;
  }
  return dims.at(-1) === columns && (!hidden || dims.at(-3) === grams.length);
}

/** Sums up a value of one run. Values of a branch that was not taken are empty and add nothing. */
export function addTo(
  reader: Reader,
  values: Float32Array,
  dims: readonly number[],
  sample: string,
): void {
  if (values.length === 0 || !fits(reader, dims)) return;
  const { layer, input } = reader;
  try {
    if (layer.tensor.consumer === "Conv") addConvTo(reader, values, dims);
    else if (input.hidden) addHiddenTo(reader, values, dims);
    else for (const gram of layer.grams) gram.add(values);
  } catch (cause) {
    const where = `${sample}, input "${input.value}" of "${layer.tensor.name}"`;
    throw new ArgumentError(`${where}: ${cause instanceof Error ? cause.message : ""}`, { cause });
  }
}
