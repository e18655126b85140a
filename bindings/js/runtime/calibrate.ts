/** Runs samples through a model and sums up what its layers see. */
import type { Calibration } from "../calibration.js";
import { UnsupportedError, ArgumentError } from "../errors.js";
import { Gram, type ConvWindow } from "../gram.js";
import { inspect, type LayerInput, type TensorInfo } from "../models.js";
import { checkInteger, checkKeys, checkObject, optional } from "../options.js";
import { elementsOf } from "../shape.js";
import type { Source } from "../source.js";
import {
  bytesOf,
  checkOrt,
  checkSamples,
  floatsOf,
  Session,
  type OrtModule,
  type Samples,
} from "./session.js";

export interface CalibrateOptions {
  /** The onnxruntime that runs the model. */
  ort: OrtModule;
  /** Samples like those that the model will see; some dozens to hundreds. */
  inputs: Samples;
  /** Layers of more inputs are left out: their Gram matrices take 4 · n² bytes. 8192 by default. */
  maxColumns?: number;
  signal?: AbortSignal;
  /** How many samples are done. */
  onProgress?: (samples: number) => void;
}

export interface Layer {
  tensor: TensorInfo;
  grams: Gram[];
}

/** What reads one value of the graph, and sums it up. */
export interface Reader {
  layer: Layer;
  input: LayerInput;
}

/**
 * A model whose graph has these values as outputs, too: a second occurrence of ModelProto.graph (field 7),
 * which protobuf merges with the first, with a ValueInfoProto of only a name for each (GraphProto.output is
 * field 12, ValueInfoProto.name field 1).
 */
function withOutputs(model: Uint8Array, names: readonly string[]): Uint8Array {
  const field = (number: number, body: readonly number[]): number[] => {
    const length = [];
    let rest = body.length;
    for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
    return [(number << 3) | 2, ...length, rest, ...body];
  };
  const encoder = new TextEncoder();
  const outputs = names.flatMap((name) => field(12, field(1, [...encoder.encode(name)])));
  const graph = field(7, outputs);
  const bytes = new Uint8Array(model.length + graph.length);
  bytes.set(model);
  bytes.set(graph, model.length);
  return bytes;
}

/** SAME_UPPER and SAME_LOWER depend on the size of what comes in. */
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

export function addTo(
  { layer, input }: Reader,
  values: Float32Array,
  dims: readonly number[],
): void {
  const { tensor, grams } = layer;
  if (tensor.consumer !== "Conv") {
    grams[0]!.add(values);
    return;
  }
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

/** How many inputs each output of a layer has, where they can be seen and are not too many. */
export function columnsOf(
  { shape, axis, consumer, isWeight, layerInputs = [] }: TensorInfo,
  maxColumns: number,
): number | undefined {
  const columns = elementsOf(shape) / shape[axis]!;
  const isMatrix = shape.length === 2 || (consumer === "Conv" && shape.length <= 4);
  const isSeen = isWeight && isMatrix && layerInputs.length > 0;
  return isSeen && columns <= maxColumns ? columns : undefined;
}

/** The layers whose inputs can be seen, and who reads each value. */
function readersOf(tensors: readonly TensorInfo[], maxColumns: number) {
  const layers: Layer[] = [];
  const readers = new Map<string, Reader[]>();
  for (const tensor of tensors) {
    const { groups = 1, layerInputs = [] } = tensor;
    const columns = columnsOf(tensor, maxColumns);
    if (columns === undefined) continue;
    const grams = Array.from({ length: groups }, () => new Gram(columns));
    const layer = { tensor, grams };
    layers.push(layer);
    for (const input of layerInputs) {
      readers.set(input.value, [...(readers.get(input.value) ?? []), { layer, input }]);
    }
  }
  return { layers, readers };
}

/**
 * The moments of every layer's inputs (MatMul, Gemm, Conv of the main graph) over the samples: for
 * `shrink(…, { calibration })`. The model must be one ONNX file of less than 2 GB. The samples are run one
 * after the other; memory: the matrices, and what one sample makes in all layers.
 */
export async function calibrate(model: Source, options: CalibrateOptions): Promise<Calibration> {
  const given = checkObject("options", options);
  checkKeys("options", given, ["ort", "inputs", "maxColumns", "signal", "onProgress"]);
  const ort = checkOrt(given.ort);
  const samples = checkSamples(given.inputs);
  const maxColumns = optional(given.maxColumns, (it) => checkInteger("maxColumns", it, 1, 2 ** 15));
  const { signal, onProgress } = options;
  const info = await inspect(model, signal ? { signal } : {});
  if (info.format !== "onnx") {
    throw new UnsupportedError(`calibrate runs ONNX models; this is ${info.format}.`);
  }
  if (info.files.length > 1) {
    throw new UnsupportedError("calibrate needs a model of one file, without external data.");
  }
  const { layers, readers } = readersOf(info.tensors, maxColumns ?? 8192);
  const bytes = await bytesOf(model, signal);
  const session = await openWithOutputs(ort, bytes, [...readers.keys()]);
  try {
    let done = 0;
    for await (const sample of samples) {
      signal?.throwIfAborted();
      const values = await session.run(sample, [...readers.keys()]);
      for (const [name, value] of Object.entries(values)) {
        const floats = floatsOf(name, value);
        for (const reader of readers.get(name) ?? []) addTo(reader, floats, value.dims);
        value.dispose?.();
      }
      done++;
      onProgress?.(done);
    }
    if (done === 0) throw new ArgumentError("inputs has no samples.");
  } finally {
    await session.close();
  }
  return Object.fromEntries(
    layers
      .filter(({ grams }) => grams.every(({ rows }) => rows > 0))
      .map(({ tensor, grams }) => [tensor.name, grams.length === 1 ? grams[0]! : grams]),
  );
}

export async function openWithOutputs(
  ort: OrtModule,
  bytes: Uint8Array,
  names: readonly string[],
): Promise<Session> {
  if (names.length === 0) {
    throw new UnsupportedError("This model has no MatMul, Gemm or Conv whose inputs can be seen.");
  }
  const plain = await Session.open(ort, bytes, "the model");
  const known = new Set(plain.outputNames);
  await plain.close();
  return Session.open(
    ort,
    withOutputs(
      bytes,
      names.filter((name) => !known.has(name)),
    ),
    "the model with its layers' inputs as outputs",
  );
}
