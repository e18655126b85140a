/**
 * The WASM module as Embind exposes it (bindings/wasm/module.cc), and nothing more. Everything here is
 * internal: errors come back as values (`CoreError`), bytes as places in the heap.
 */

import type { FormatName } from "../base/formats.js";

/** An error of the core: `error` is the name of its JavaScript class (errors.ts). */
export interface CoreError {
  error: string;
  message: string;
  tensor?: string;
  offset?: number;
}
export type CoreResult<T> = T | CoreError;

/** Bytes in the heap; valid until the next call into the core. */
export interface HeapBytes {
  ptr: number;
  size: number;
}

/** Mirrors `Scheme` of src/quantize/scheme.h. */
export interface CoreScheme {
  type: string;
  granularity: "tensor" | "axis" | "block";
  rule: "onnx-linear" | "onnx-blockwise";
  axis: number;
  blockSize: number;
  symmetric: boolean;
  transposed: boolean;
  nonFinite: "error" | "zero";
}

/** Mirrors `PruneSpec` of src/formats/layout.h. */
export interface CorePruneSpec {
  method:
    "none" | "magnitude" | "random" | "below" | "n:m" | "wanda" | "sparsegpt" | "obc" | "channels";
  amount: number;
  isFraction: boolean;
  /** 0: not n:m. */
  n: number;
  m: number;
  magnitudeBits: number;
  seed: number;
  /** "channels". */
  norm: number;
  multipleOf: number;
  samples: number;
  damping: number;
  refit: boolean;
  feedback: boolean;
  actOrder: boolean;
}

/** Mirrors `TensorSpec` of src/formats/layout.h. */
export interface CoreTensorSpec {
  prune?: CorePruneSpec;
  /** Of a kept tensor: how many of its elements are not zero, to leave out the others. */
  sparseEntries?: number;
  keep: boolean;
  type: string;
  granularity: "tensor" | "axis" | "block";
  blockSize: number;
  symmetric: boolean;
  mode: "storage" | "dynamic" | "lowmem";
  nonFinite: "error" | "zero";
}

/** Mirrors `Tap` of src/formats/layout.h. */
export interface CoreTap {
  graph: number;
  value: string;
  type: string;
}

/** Mirrors `WriteOptions` of src/formats/layout.h. */
export interface CoreWriteOptions {
  strip: boolean;
  /** Empty: as the input's. */
  mainName: string;
  /** "0" or "1" a channel, 1 where it goes; left out: not known yet. */
  removedChannels?: string;
  taps?: CoreTap[];
}

/** Mirrors `ByteRange` of src/formats/model.h: it may run over the end of `file` into the next ones. */
export interface CoreRange {
  file: number;
  offset: number;
  size: number;
}

/** Mirrors `InputFile` of src/formats/model.h. */
export interface CoreFile {
  name: string;
  sizeBytes: number;
}

/** Mirrors `Unit` of src/pipeline/shrink.h. */
export interface CoreUnit {
  tensor?: number;
  outputBytes: number;
}

/** What a model being read asks for; mirrors `Request` of src/formats/format.h. */
export type CoreRequest =
  { kind: "open"; name: string } | Extract<CoreStep, { kind: "read" | "done" }>;

/** Mirrors `Step` of src/pipeline/step.h; offsets are exact integers below 2^53. */
export type CoreStep =
  | ({ kind: "read"; input: number } & CoreRange)
  | ({ kind: "copy"; outputFile: number; outputOffset: number } & CoreRange)
  | { kind: "write"; outputFile: number; outputOffset: number; bytes: HeapBytes }
  | { kind: "tensor"; tensor: number }
  | { kind: "done" };

export interface CoreTensorInfo {
  name: string;
  shape: number[];
  type: string;
  quantized: boolean;
  /** The float type that restoring gives; only when it is quantized. */
  restoredType?: string;
  storedBytes: number;
  isWeight: boolean;
  axis: number;
  consumer: string;
  note?: string;
  /** How many groups its outputs are in; 1 when left out. */
  groups?: number;
  layerInputs?: CoreLayerInput[];
  /** Of a layer: where its values begin in the main file. */
  dataOffset?: number;
}

/** A value that a layer reads; mirrors `LayerInput` of src/formats/model.h. */
export interface CoreLayerInput {
  /** The name of the value. */
  value: string;
  /** The number of the layer's node, in the order of the file. */
  node: number;
  /** The number of the graph that knows the value by this name; 0, the main one, when left out. */
  graph?: number;
  /** The value holds a recurrent layer's states: its first one, or those after each step. */
  hidden?: "initial" | "forward" | "reverse" | "bidirectional";
  /** The steps of a convolution, one for each spatial dimension. */
  strides?: number[];
  /** The distances of a convolution's taps, one for each spatial dimension. */
  dilations?: number[];
  /** The zeros around a convolution's input: before all spatial dimensions, then after all. */
  pads?: number[];
  /** ONNX's attribute auto_pad, where a convolution has it instead of pads. */
  autoPad?: string;
}

export interface CoreModelInfo {
  format: FormatName;
  files: CoreFile[];
  sizeBytes: number;
  metadata: Record<string, string>;
  tensors: CoreTensorInfo[];
}

export interface CoreTensorReport {
  name: string;
  shape: number[];
  from: string;
  to: string;
  method?: string;
  outputShape: number[];
  inputBytes: number;
  outputBytes: number;
  note?: string;
  sqnr?: number;
  maxAbsError?: number;
  meanAbsError?: number;
  cosine?: number;
  sparsity?: number;
}

export interface CoreReport {
  format: FormatName;
  inputBytes: number;
  outputBytes: number;
  files: CoreFile[];
  tensors: CoreTensorReport[];
}

/** Anything that is advanced by steps: `next()`, and `feed()` after a "read" step. */
export interface CoreSteps<S = CoreStep> {
  next(): CoreResult<S>;
  /** Room for the bytes of a "read" step: copy them there, then call feed(size). */
  input(size: number): CoreResult<HeapBytes>;
  feed(size: number): CoreResult<Record<string, never>>;
  delete(): void;
}

/** A model being read, then asked. */
export interface CoreModel extends CoreSteps<CoreRequest> {
  /** After an "open" request: the file's size, -1 when there is none. */
  opened(sizeBytes: number): CoreResult<Record<string, never>>;
  info(): CoreResult<CoreModelInfo>;
  /** One spec for each tensor of info(). */
  plan(specs: CoreTensorSpec[], options: CoreWriteOptions): CoreResult<CoreReport>;
  /** Of the tensors of these numbers, which fraction goes from all of them. */
  survey(
    tensors: number[],
    allocation: "global" | "lamp",
    sparsity: number,
  ): CoreResult<CoreSurvey>;
  /** Which channels go: for `options`. */
  surveyChannels(specs: CoreTensorSpec[], options: CoreWriteOptions): CoreResult<CoreSurvey>;
  shrink(specs: CoreTensorSpec[], options: CoreWriteOptions): CoreResult<CoreShrink>;
}

/** A shrink or a comparison; report() is complete after "done". */
export interface CoreRun extends CoreSteps {
  report(): CoreReport;
}

/** Steps are those of the started unit; report() has the statistics of the units that ran here. */
export interface CoreShrink extends CoreRun {
  units(): CoreUnit[];
  /** The entry of one tensor, complete after the unit that has it. */
  tensorReport(tensor: number): CoreResult<CoreTensorReport>;
  start(unit: number): CoreResult<Record<string, never>>;
}

/** Mirrors `Share` of src/pipeline/survey.h. */
export interface CoreShare {
  tensor: number;
  magnitudeBits: number;
  count: number;
}

export interface CoreSurvey extends CoreSteps {
  shares(): CoreShare[];
  removedChannels(): string;
}

export interface CoreQuantized {
  codes: HeapBytes;
  scales: HeapBytes;
  zeroPoints: HeapBytes;
}

/** Mirrors src/prune/masks.h. */
export interface CoreMask {
  pattern: "elements" | "runs" | "channels" | "blocks";
  values: HeapBytes;
  /** The mask of an earlier pruning. */
  alive?: HeapBytes;
  /** What is compared instead of the values; with a seed random numbers are. */
  scores?: HeapBytes;
  seed?: number;
  mask: HeapBytes;
  shape: number[];
  asTfmot: boolean;
  /** All but "runs". */
  amount?: number;
  isFraction?: boolean;
  /** "runs" and "channels". */
  dim?: number;
  /** "runs". */
  n?: number;
  m?: number;
  /** "channels". */
  norm?: number;
  nuclear?: boolean;
  /** "blocks"; zerosPerBlock 0: all. */
  blockRows?: number;
  blockColumns?: number;
  pooling?: "mean" | "max" | "mean-square";
  zerosPerBlock?: number;
}

/** Mirrors `SparseShape` of src/sparse/sparse.h. */
export interface CoreSparseShape {
  form: "csr" | "csc" | "coo" | "bsr" | "bitmask" | "n:m";
  rows: number;
  columns: number;
  blockRows: number;
  blockColumns: number;
  n: number;
  m: number;
}

/** Mirrors `SparseParts`; a part that the form lacks is empty. */
export interface CoreSparse {
  values: HeapBytes;
  pointers: HeapBytes;
  indices: HeapBytes;
  bits: HeapBytes;
}

/** Mirrors `LayerShape` of src/calibrated/layer.h. */
export interface CoreLayer {
  rows: number;
  columns: number;
  inputsFirst: boolean;
}

/** Mirrors `InputMoments`. */
export interface CoreMoments {
  sums: HeapBytes;
  samples: number;
}

/** What src/calibrated can do with a layer. */
export interface CoreLayerFit extends CoreLayer, Partial<CoreMoments> {
  method: "wanda" | "feedback" | "obc" | "refit";
  weights: HeapBytes;
  /** Read by "refit", written by the others; a byte a weight. */
  mask: HeapBytes;
  /** "wanda": instead of moments. */
  norms?: HeapBytes;
  damping?: number;
  /** All but "refit". */
  target?: "none" | "count" | "n:m";
  count?: number;
  n?: number;
  m?: number;
  /** "feedback". */
  scheme?: CoreScheme;
  actOrder?: boolean;
  staticGroups?: boolean;
  /** "refit". */
  crossSums?: HeapBytes;
}

export interface CoreErrorStats {
  sqnr: number;
  maxAbsError: number;
  meanAbsError: number;
  cosine: number;
  sparsity: number;
}

export interface CoreModule {
  HEAPU8: Uint8Array;
  _malloc(size: number): number;
  _free(ptr: number): void;
  /** "WASM" or "EMU128"/"SCALAR": the Highway target this binary was built for. */
  simdTarget(): string;

  quantize(
    ptr: number,
    count: number,
    shape: number[],
    scheme: CoreScheme,
  ): CoreResult<CoreQuantized>;
  dequantize(
    shape: number[],
    scheme: CoreScheme,
    codes: HeapBytes,
    scales: HeapBytes,
    zeroPoints: HeapBytes,
    out: number,
  ): CoreResult<Record<string, never>>;
  /** Prunes the values in place and writes the mask. */
  mask(request: CoreMask): CoreResult<Record<string, never>>;
  /** A score for each value. */
  lampScores(values: HeapBytes, scores: HeapBytes): CoreResult<Record<string, never>>;

  toSparse(shape: CoreSparseShape, values: HeapBytes): CoreResult<CoreSparse>;
  fromSparse(
    shape: CoreSparseShape,
    parts: Partial<CoreSparse>,
    out: HeapBytes,
  ): CoreResult<Record<string, never>>;
  numEntries(shape: CoreSparseShape, values: HeapBytes): CoreResult<{ count: number }>;

  /** sums += XᵀX; x has rows of `columns`. */
  addToGram(x: HeapBytes, columns: number, sums: HeapBytes): CoreResult<Record<string, never>>;
  /** Every `step`th row from number `first` on, as many as `out` has room for. */
  im2col(
    geometry: object,
    image: HeapBytes,
    first: number,
    step: number,
    out: HeapBytes,
  ): CoreResult<Record<string, never>>;
  /** Replaces the weights. */
  fitLayer(request: CoreLayerFit): CoreResult<Partial<CoreQuantized> & { damping?: number }>;
  layerError(
    request: CoreLayer & CoreMoments & { weights: HeapBytes; approximation: HeapBytes },
  ): CoreResult<{ squaredError: number; power: number }>;
  /** Writes a number a row to `out`. */
  biasCorrection(
    request: CoreLayer & {
      weights: HeapBytes;
      mean: HeapBytes;
      approximation: HeapBytes;
      approximateMean: HeapBytes;
      out: HeapBytes;
    },
  ): CoreResult<Record<string, never>>;
  errorStats(a: number, b: number, count: number): CoreResult<CoreErrorStats>;

  /** `head`: the first bytes of the file, up to 64. */
  openModel(name: string, sizeBytes: number, head: Uint8Array): CoreResult<CoreModel>;
  compareModels(original: CoreModel, other: CoreModel): CoreResult<CoreRun>;
}
