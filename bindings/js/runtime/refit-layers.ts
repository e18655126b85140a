/** refitLayers: fits the layers of a pruned model one after the other, each to the outputs of the original's. */
import { behindDoor, callUser } from "../base/door.js";
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { smallestOf } from "../base/extremes.js";
import { checkInteger, optional } from "../base/options.js";
import type { AbortSignal } from "../base/platform-types.js";
import { plural } from "../base/plural.js";
import { elementsOf } from "../base/shape.js";
import { Gram } from "../arrays/gram.js";
import {
  checkDamping,
  refitMasked,
  type RefitInputs,
  type RefittedWeights,
} from "../arrays/layers.js";
import { openSource, reusable } from "../files/open.js";
import type { ReadOptions } from "../files/raw.js";
import { ownBytes, type OpenFile, type Source } from "../files/source.js";
import { inspect } from "../models/inspect.js";
import { checkRunOptions, readingOf, runKeys } from "../models/options.js";
import type { LayerInput, ModelInfo, TensorInfo } from "../models/types.js";
import {
  addTo,
  columnsOf,
  openTapped,
  withTaps,
  tapsOf,
  type Tap,
  type TappedOptions,
} from "./layer-inputs.js";
import {
  checkOrt,
  checkSamples,
  checkSessionOptions,
  floatsOf,
  labelOf,
  type Feeds,
  type OrtModule,
  type Samples,
  type Session,
  type SessionOptions,
} from "./session.js";

/** The options of {@link refitLayers}. */
export interface RefitLayersOptions extends ReadOptions {
  /** The onnxruntime that runs the models. */
  ort: OrtModule;
  /** Samples like those that the model will see; some dozens to hundreds. */
  inputs: Samples;
  /** Is added to the diagonal of XᵀX, as a fraction of its mean, 0 to 100; 0.01 by default. */
  damping?: number;
  /** The largest number of inputs of a layer, which takes 16 · n² bytes; others stay. 4096 by default. */
  maxColumns?: number;
  /** Options of the sessions, such as `executionProviders`; by default onnxruntime's own. */
  session?: SessionOptions;
  /** Is called after each layer with the number of those that are done, and of all. */
  onProgress?: (layers: number, all: number) => void;
}

/** A layer that stays as it is. */
export interface SkippedLayer {
  /** The name of its weight. */
  name: string;
  /** The reason why it cannot be fitted. */
  reason: string;
}

/** The result of {@link refitLayers}. */
export interface RefittedModel {
  /** The model, an ONNX file as large as the pruned one. */
  bytes: Uint8Array;
  /** The names of the weights that were fitted, in the order in which they were fitted. */
  fitted: string[];
  /** Layers that stay as they are. */
  skipped: SkippedLayer[];
}

interface LayerPair {
  name: string;
  tensor: TensorInfo;
  inputs: readonly LayerInput[];
  columns: number;
  /** The places of the weights in each file, in bytes. */
  offsets: { original: number; shrunk: number };
}

const placesOf = (inputs: readonly LayerInput[]) =>
  JSON.stringify(inputs.map(({ graph, value }) => [graph, value]));

/** Gives a layer that both models have, or the reason why it cannot be fitted. */
function pairOf(
  tensor: TensorInfo,
  other: TensorInfo | undefined,
  maxColumns: number,
): LayerPair | string {
  const { name, shape, type, layer, layerInputs: inputs = [], dataOffset } = tensor;
  if (!other) return "the original has no such weight";
  if (type !== "float32") return `its type is ${type}: fit float32, then quantize`;
  if (other.type !== "float32") return `the original's is of type ${other.type}`;
  if (String(other.shape) !== String(shape)) return "it lost channels";
  if (layer && layer.groups > 1) return "its outputs are in groups, or it has two directions";
  if (inputs.length === 0) return "its inputs cannot be seen";
  const columns = columnsOf(tensor, maxColumns);
  if (columns === undefined) return `more than ${maxColumns} inputs (maxColumns), or of volumes`;
  if (placesOf(other.layerInputs ?? []) !== placesOf(inputs)) return "it reads other values";
  if (dataOffset === undefined || other.dataOffset === undefined) {
    return "its values are not in the main file";
  }
  const offsets = { original: other.dataOffset, shrunk: dataOffset };
  return { name, tensor, inputs, columns, offsets };
}

/** Gives the layers that both models have, in the order in which they run, and the others. */
function pairsOf(original: ModelInfo, shrunk: ModelInfo, maxColumns: number) {
  const others = new Map(original.tensors.map((tensor) => [tensor.name, tensor]));
  const pairs: LayerPair[] = [];
  const skipped: SkippedLayer[] = [];
  for (const tensor of shrunk.tensors) {
    const { name, isWeight, isSparse, layer } = tensor;
    if (!isSparse && !(isWeight && layer)) continue;
    const found = pairOf(tensor, others.get(name), maxColumns);
    if (typeof found === "string") skipped.push({ name, reason: found });
    else pairs.push(found);
  }
  const firstNode = ({ inputs }: LayerPair) => smallestOf(inputs.map(({ node }) => node));
  pairs.sort((a, b) => firstNode(a) - firstNode(b));
  return { pairs, skipped };
}

/** Groups layers of the same inputs, as those of queries, keys and values, which are seen together. */
function groupsOf(pairs: readonly LayerPair[]): LayerPair[][] {
  const groups: LayerPair[][] = [];
  for (const pair of pairs) {
    const last = groups.at(-1);
    const isAlike =
      last?.[0]!.columns === pair.columns &&
      last[0].tensor.consumer !== "Conv" &&
      pair.tensor.consumer !== "Conv" &&
      placesOf(last[0].inputs) === placesOf(pair.inputs);
    if (isAlike) last.push(pair);
    else groups.push([pair]);
  }
  return groups;
}

/** Puts x and x̂ side by side: channels of a convolution, columns of a product. */
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

/** A model that runs and can be looked into. */
interface Tapped {
  session: Session;
  taps: readonly Tap[];
}

const tapsOfLayers = (layers: readonly LayerPair[]) =>
  tapsOf(
    layers.flatMap(({ tensor, inputs }) =>
      inputs.map((input) => ({ layer: { tensor, grams: [] }, input })),
    ),
  );

/** Runs a sample, and gives the values of the layer's inputs. */
async function inputsOf(
  { session, taps }: Tapped,
  { inputs }: LayerPair,
  sample: Feeds,
  number: number,
) {
  const outputs = inputs.map(
    ({ graph = 0, value }) =>
      taps.find((tap) => tap.graph === graph && tap.value === value)!.output,
  );
  const values = await session.run(sample, labelOf(number, sample), [...new Set(outputs)]);
  return outputs.map((output) => values[output]!);
}

/** Sums up [x x̂]ᵀ[x x̂] of one layer over the samples. */
async function momentsOf(
  pair: LayerPair,
  models: { original: Tapped; shrunk: Tapped },
  samples: readonly Feeds[],
  signal: AbortSignal | undefined,
): Promise<Gram> {
  const { tensor, inputs, columns } = pair;
  const gram = new Gram(2 * columns);
  const layer = { tensor, grams: [gram] };
  for (const [number, sample] of samples.entries()) {
    signal?.throwIfAborted();
    const before = await inputsOf(models.original, pair, sample, number);
    const after = await inputsOf(models.shrunk, pair, sample, number);
    for (const [i, input] of inputs.entries()) {
      const { dims } = before[i]!;
      // A branch that only one of the models takes.
      if ([before, after].some((values) => values[i]!.dims.includes(0))) continue;
      const axis = tensor.consumer === "Conv" ? 1 : dims.length - 1;
      const [x, y] = [floatsOf(input.value, before[i]!), floatsOf(input.value, after[i]!)];
      const wide = dims.map((size, at) => (at === axis ? 2 * size : size));
      addTo({ layer, input }, joined(x, y, dims, axis), wide, labelOf(number, sample));
    }
    for (const value of new Set([...before, ...after])) value.dispose?.();
  }
  return gram;
}

/** Gives what a fit needs of [x x̂]ᵀ[x x̂], the same for all layers of these inputs. */
function fitInputsOf(both: Gram, columns: number): RefitInputs {
  const crossSums = new Float32Array(columns * columns);
  for (let row = 0; row < columns; ++row) {
    const at = row * 2 * columns + columns;
    crossSums.set(both.sums.subarray(at, at + columns), row * columns);
  }
  const gram = both.slice(columns, columns);
  const heldOutBefore = both.heldOut.filter((_, i) => i % (2 * columns) < columns);
  return { gram, crossSums, heldOut: gram.heldOut, heldOutBefore };
}

/** Fits a layer's weights that are not zero, so that they make of x̂ what the original's make of x. */
function weightsFitted(
  { tensor, columns }: LayerPair,
  weights: { original: Float32Array; shrunk: Float32Array },
  inputs: RefitInputs,
  damping: number,
): RefittedWeights {
  const mask = Uint8Array.from(weights.shrunk, (weight) => (weight === 0 ? 0 : 1));
  const { rows, outputsLast: inputsFirst } = tensor.layer!;
  return refitMasked(weights.original, mask, { rows, columns, inputsFirst }, { inputs, damping });
}

function checkOneFile({ format, files }: ModelInfo): void {
  if (format === "onnx" && files.length === 1) return;
  throw new UnsupportedError("refitLayers needs ONNX models of one file, without external data.");
}

/**
 * The models' files. The original's is only read where a layer lies; the pruned one has outputs for the layers' inputs,
 * and gets the fitted weights, so that the next session has them.
 */
interface Files {
  original: OpenFile;
  shrunk: Uint8Array;
}

const numBytesOf = ({ tensor }: LayerPair) => 4 * elementsOf(tensor.shape);

/** Copies float32 weights out of bytes, in which they may lie anywhere. */
const floatsIn = (bytes: Uint8Array) => new Float32Array(new Uint8Array(bytes).buffer);

const originalOf = async ({ original }: Files, pair: LayerPair) =>
  floatsIn(await original.read(pair.offsets.original, numBytesOf(pair)));

/** Gives a layer's bytes in the pruned model. */
const placeIn = (model: Uint8Array, pair: LayerPair) =>
  model.subarray(pair.offsets.shrunk, pair.offsets.shrunk + numBytesOf(pair));

const zerosIn = (weights: Float32Array) => weights.reduce((n, w) => n + (w === 0 ? 1 : 0), 0);

/** Throws when the first model has more zeros than the second: the mask is the second one's. */
async function checkOrder(pairs: readonly LayerPair[], files: Files): Promise<void> {
  let surplus = 0;
  for (const pair of pairs) {
    surplus +=
      zerosIn(await originalOf(files, pair)) - zerosIn(floatsIn(placeIn(files.shrunk, pair)));
  }
  if (surplus > 0) {
    throw new ArgumentError(
      "The first model has more zeros than the second: give the original first, then the pruned one.",
    );
  }
}

/** Fits one layer and writes its weights into the pruned model; gives the reason where it stays. */
async function fitOne(
  pair: LayerPair,
  files: Files,
  inputs: RefitInputs,
  damping: number,
): Promise<string | undefined> {
  if (inputs.gram.rows === 0) return "no sample reaches it";
  const weights = {
    original: await originalOf(files, pair),
    shrunk: floatsIn(placeIn(files.shrunk, pair)),
  };
  const found = weightsFitted(pair, weights, inputs, damping);
  if (found.isLeftOut) return `too few of its inputs to help (${plural(inputs.gram.rows, "row")})`;
  placeIn(files.shrunk, pair).set(new Uint8Array(found.weights.buffer));
  return undefined;
}

function refuseNoPairs(skipped: readonly SkippedLayer[]): never {
  const [first] = skipped;
  throw new UnsupportedError(
    "The models have no layer of float32 weights that could be fitted anew" +
      `${first ? `: "${first.name}": ${first.reason}` : ""}.`,
  );
}

/** Gives the layers with the places where they lie in another file of the pruned model. */
async function movedTo(
  pairs: readonly LayerPair[],
  file: Uint8Array,
  reading: ReadOptions,
): Promise<LayerPair[]> {
  const { tensors } = await inspect(file, reading);
  const places = new Map(tensors.map(({ name, dataOffset }) => [name, dataOffset]));
  return pairs.map((pair) => ({
    ...pair,
    offsets: { ...pair.offsets, shrunk: places.get(pair.name)! },
  }));
}

/** What all layers are fitted by. */
interface Fitting {
  files: Files;
  samples: readonly Feeds[];
  taps: readonly Tap[];
  original: Session;
}

/** Fits the layers in order: each sees what those before it have become. Gives the reason of each that stays. */
async function fitGroups(
  pairs: readonly LayerPair[],
  { files, samples, taps, original }: Fitting,
  { ort, damping, tapped, onProgress }: CheckedOptions,
): Promise<Map<string, string | undefined>> {
  const reasons = new Map<string, string | undefined>();
  for (const group of groupsOf(pairs)) {
    const session = await openTapped(ort, { main: files.shrunk, externalData: [] }, tapped);
    let inputs: RefitInputs;
    try {
      const models = { original: { session: original, taps }, shrunk: { session, taps } };
      const first = group[0]!;
      inputs = fitInputsOf(await momentsOf(first, models, samples, tapped.signal), first.columns);
    } finally {
      await session.close();
    }
    for (const pair of group) {
      tapped.signal?.throwIfAborted();
      reasons.set(pair.name, await fitOne(pair, files, inputs, damping));
      callUser(() => onProgress?.(reasons.size, pairs.length));
    }
  }
  return reasons;
}

/**
 * Fits the surviving float32 weights of a pruned ONNX model anew by least squares, layer after layer in the order
 * in which they run. Each layer gets what the layers before it now give, and is fitted to what the original's gave,
 * so that it also makes up for them. Weights that are zero stay zero. Fitted are MatMul, Gemm, Conv without groups
 * and recurrent layers of one direction, if their shape has not changed and the samples reach them; others stay as
 * they are (`skipped`). Rows of inputs that are held out
 * say whether a fit helps: where they say no, the layer stays, too. It takes two runs of each sample for each group of
 * layers of the same inputs, and for each output the time of a factorization.
 *
 * @param original - The model before pruning: one ONNX file.
 * @param shrunk - The pruned model, with float32 weights: one ONNX file.
 * @throws UnsupportedError for other models, or when no layer can be fitted; ArgumentError for a wrong option or
 *   sample, or models in the wrong order.
 */
export async function refitLayers(
  original: Source,
  shrunk: Source,
  options: RefitLayersOptions,
): Promise<RefittedModel> {
  return behindDoor(options, () => refitModels(original, shrunk, options));
}

interface CheckedOptions {
  ort: OrtModule;
  damping: number;
  maxColumns: number;
  /** The options of sessions, and of what reads for them. */
  tapped: TappedOptions;
  onProgress: RefitLayersOptions["onProgress"];
}

function checkOptions(options: RefitLayersOptions): CheckedOptions {
  const keys = ["ort", "inputs", "damping", "maxColumns", "session", ...runKeys];
  const given = checkRunOptions(options, keys);
  const maxColumns = optional(given.maxColumns, (it) => checkInteger("maxColumns", it, 1, 2 ** 14));
  return {
    ort: checkOrt(given.ort),
    damping: checkDamping(given.damping),
    maxColumns: maxColumns ?? 4096,
    tapped: { session: checkSessionOptions(given.session), ...readingOf(options) },
    onProgress: options.onProgress,
  };
}

function sorted(reasons: ReadonlyMap<string, string | undefined>, skipped: SkippedLayer[]) {
  const fitted: string[] = [];
  for (const [name, reason] of reasons) {
    if (reason === undefined) fitted.push(name);
    else skipped.push({ name, reason });
  }
  return { fitted, skipped };
}

async function refitModels(
  original: Source,
  shrunk: Source,
  options: RefitLayersOptions,
): Promise<RefittedModel> {
  const checked = checkOptions(options);
  const { tapped, maxColumns } = checked;
  const samples: Feeds[] = [];
  for await (const sample of checkSamples(options.inputs)) samples.push(sample);
  if (samples.length === 0) throw new ArgumentError("inputs has no samples.");
  const first = await reusable(original, tapped);
  const second = await reusable(shrunk, tapped);
  const [before, after] = [
    await inspect(first, readingOf(options)),
    await inspect(second, readingOf(options)),
  ];
  checkOneFile(before);
  checkOneFile(after);
  const { pairs, skipped } = pairsOf(before, after, maxColumns);
  if (pairs.length === 0) refuseNoPairs(skipped);
  const taps = tapsOfLayers(pairs);
  const { main } = await withTaps(second, taps, tapped);
  const moved = await movedTo(pairs, main, readingOf(options));
  const opened = await openSource(first, tapped);
  try {
    const files = { original: opened.main, shrunk: main };
    await checkOrder(moved, files);
    const session = await openTapped(checked.ort, await withTaps(first, taps, tapped), tapped);
    let reasons: Map<string, string | undefined>;
    try {
      reasons = await fitGroups(moved, { files, samples, taps, original: session }, checked);
    } finally {
      await session.close();
    }
    const bytes = await bytesOf(second, tapped);
    for (const [i, pair] of pairs.entries()) {
      placeIn(bytes, pair).set(placeIn(files.shrunk, moved[i]!));
    }
    return { bytes, ...sorted(reasons, skipped) };
  } finally {
    await opened.close();
  }
}

async function bytesOf(source: Source, reading: ReadOptions): Promise<Uint8Array> {
  const opened = await openSource(source, reading);
  try {
    return ownBytes(opened.main, await opened.main.read(0, opened.main.size));
  } finally {
    await opened.close();
  }
}
