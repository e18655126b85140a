/** Fits the layers of a pruned model one after the other, each to what the original's gives. */
import { ArgumentError, UnsupportedError } from "../errors.js";
import { Gram } from "../gram.js";
import { checkDamping, refit } from "../layers.js";
import { inspect, type LayerInput, type ModelInfo, type TensorInfo } from "../models.js";
import { checkInteger, checkKeys, checkObject, optional } from "../options.js";
import { elementsOf } from "../shape.js";
import type { Source } from "../source.js";
import { addTo, columnsOf, openWithOutputs } from "./calibrate.js";
import {
  bytesOf,
  checkOrt,
  checkSamples,
  floatsOf,
  type Feeds,
  type OrtModule,
  type Samples,
  type Session,
} from "./session.js";

export interface RefitLayersOptions {
  /** The onnxruntime that runs the models. */
  ort: OrtModule;
  /** Samples like those that the model will see; some dozens to hundreds. */
  inputs: Samples;
  /** Added to the diagonal of XᵀX, as a fraction of its mean; 0.01. */
  damping?: number;
  /** Layers of more inputs stay as they are: 16 · n² bytes. 4096 by default. */
  maxColumns?: number;
  signal?: AbortSignal;
  /** How many layers are done, of how many. */
  onProgress?: (layers: number, all: number) => void;
}

interface LayerPair {
  name: string;
  tensor: TensorInfo;
  input: LayerInput;
  columns: number;
  /** Where the weights are in each file. */
  offsets: { original: number; shrunk: number };
}

/** The layers that both models have, in the order in which they run. */
function pairsOf(original: ModelInfo, shrunk: ModelInfo, maxColumns: number): LayerPair[] {
  const others = new Map(original.tensors.map((tensor) => [tensor.name, tensor]));
  const pairs: LayerPair[] = [];
  for (const tensor of shrunk.tensors) {
    const { name, shape, type, groups = 1, layerInputs = [], dataOffset } = tensor;
    const other = others.get(name);
    const [input, ...more] = layerInputs;
    const columns = columnsOf(tensor, maxColumns);
    const isSame = other?.type === "float32" && String(other.shape) === String(shape);
    const fits = isSame && type === "float32" && groups === 1;
    if (
      !fits ||
      columns === undefined ||
      !input ||
      more.length > 0 ||
      other.layerInputs?.[0]?.value !== input.value
    )
      continue;
    if (dataOffset === undefined || other.dataOffset === undefined) continue;
    const offsets = { original: other.dataOffset, shrunk: dataOffset };
    pairs.push({ ...{ name, tensor, input, columns, offsets } });
  }
  return pairs.sort((a, b) => a.input.node - b.input.node);
}

/** x and x̂ side by side: channels of a convolution, columns of a product. */
function joined(x: Float32Array, y: Float32Array, dims: readonly number[], axis: number) {
  if (x.length !== y.length) {
    throw new UnsupportedError("A layer's inputs differ in shape between the models.");
  }
  const run = elementsOf(dims.slice(axis));
  const both = new Float32Array(2 * x.length);
  for (let i = 0; i < x.length; i += run) {
    both.set(x.subarray(i, i + run), 2 * i);
    both.set(y.subarray(i, i + run), 2 * i + run);
  }
  return both;
}

/** Σ [x x̂]ᵀ[x x̂] of one layer over the samples. */
async function momentsOf(
  { tensor, input, columns }: LayerPair,
  sessions: { original: Session; shrunk: Session },
  samples: readonly Feeds[],
  signal: AbortSignal | undefined,
): Promise<Gram> {
  const gram = new Gram(2 * columns);
  const { value } = input;
  for (const sample of samples) {
    signal?.throwIfAborted();
    const [before, after] = [
      (await sessions.original.run(sample, [value]))[value]!,
      (await sessions.shrunk.run(sample, [value]))[value]!,
    ];
    const { dims } = before;
    const axis = tensor.consumer === "Conv" ? 1 : dims.length - 1;
    const both = joined(floatsOf(value, before), floatsOf(value, after), dims, axis);
    const wide = dims.map((size, i) => (i === axis ? 2 * size : size));
    addTo({ layer: { tensor, grams: [gram] }, input }, both, wide);
    before.dispose?.();
    after.dispose?.();
  }
  return gram;
}

/** Its weights that are not zero, fitted so that they make of x̂ what the original's make of x. */
function fitted(
  { tensor: { shape, axis }, columns }: LayerPair,
  weights: { original: Float32Array; shrunk: Float32Array },
  both: Gram,
  damping: number,
): Float32Array {
  const crossSums = new Float32Array(columns * columns);
  for (let row = 0; row < columns; ++row) {
    const at = row * 2 * columns + columns;
    crossSums.set(both.sums.subarray(at, at + columns), row * columns);
  }
  const mask = Uint8Array.from(weights.shrunk, (weight) => (weight === 0 ? 0 : 1));
  return refit(weights.original, mask, {
    shape: axis === 1 ? shape : [shape[0]!, columns],
    ...{ outputAxis: axis, gram: both.slice(columns, columns), crossSums, damping },
  });
}

async function bytesOfOneFile(source: Source, info: ModelInfo, signal: AbortSignal | undefined) {
  if (info.format !== "onnx" || info.files.length > 1) {
    throw new UnsupportedError("refitLayers needs ONNX models of one file, without external data.");
  }
  // A copy: Buffer's own slice() would be the caller's bytes.
  return new Uint8Array(await bytesOf(source, signal));
}

/** Float32 weights in a file, which may lie at any byte. */
const weightsAt = (file: Uint8Array, offset: number, { shape }: TensorInfo) =>
  new Float32Array(file.slice(offset, offset + 4 * elementsOf(shape)).buffer);

/**
 * The shrunk model with its surviving float32 weights fitted anew by least squares, layer after layer in the
 * order in which they run: each layer gets what the layers before it now give, and shall give what the
 * original's gave, so that it also makes up for them. Which weights are zero stays. Layers of MatMul, Gemm
 * and ungrouped Conv whose shape has not changed; others stay as they are. Takes two runs of each sample a
 * layer.
 */
export async function refitLayers(
  original: Source,
  shrunk: Source,
  options: RefitLayersOptions,
): Promise<Uint8Array> {
  const given = checkObject("options", options);
  checkKeys("options", given, ["ort", "inputs", "damping", "maxColumns", "signal", "onProgress"]);
  const ort = checkOrt(given.ort);
  const damping = checkDamping(given.damping);
  const maxColumns = optional(given.maxColumns, (it) => checkInteger("maxColumns", it, 1, 2 ** 14));
  const { signal, onProgress } = options;
  const samples: Feeds[] = [];
  for await (const sample of checkSamples(given.inputs)) samples.push(sample);
  if (samples.length === 0) throw new ArgumentError("inputs has no samples.");
  const quiet = signal ? { signal } : {};
  const [before, after] = [await inspect(original, quiet), await inspect(shrunk, quiet)];
  const file = await bytesOfOneFile(original, before, signal);
  const result = await bytesOfOneFile(shrunk, after, signal);
  const pairs = pairsOf(before, after, maxColumns ?? 4096);
  const values = [...new Set(pairs.map(({ input }) => input.value))];
  const originalSession = await openWithOutputs(ort, file, values);
  try {
    for (const [i, pair] of pairs.entries()) {
      const session = await openWithOutputs(ort, result, [pair.input.value]);
      try {
        const sessions = { original: originalSession, shrunk: session };
        const both = await momentsOf(pair, sessions, samples, signal);
        const weights = {
          original: weightsAt(file, pair.offsets.original, pair.tensor),
          shrunk: weightsAt(result, pair.offsets.shrunk, pair.tensor),
        };
        const found = fitted(pair, weights, both, damping);
        result.set(new Uint8Array(found.buffer), pair.offsets.shrunk);
      } finally {
        await session.close();
      }
      onProgress?.(i + 1, pairs.length);
    }
  } finally {
    await originalSession.close();
  }
  return result;
}
