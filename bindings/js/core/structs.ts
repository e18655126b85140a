/**
 * What crosses between JavaScript and the WASM module. Written by scripts/generate.mjs from the lists of fields in
 * bindings/wasm.
 */
import type { FormatName } from "../base/formats.js";
import type { ReasonCode } from "../base/reason-table.js";

/** Bytes in the heap; valid until the next call into the core. */
export interface HeapBytes {
  ptr: number;
  size: number;
}

export type CoreGranularity = "tensor" | "axis" | "block";

export type CoreLinearRule = "onnx-linear" | "onnx-blockwise";

export type CoreNonFinite = "error" | "zero";

/** An error as a value: `error` is the name of its JavaScript class, `offset` a byte of the input file. */
export interface CoreError {
  error: string;
  message: string;
  tensor?: string;
  offset?: number;
}

/** How an array or a tensor is quantized (src/quantize/scheme.h). */
export interface CoreScheme {
  type: string;
  granularity: CoreGranularity;
  rule: CoreLinearRule;
  axis: number;
  blockSize: number;
  symmetric: boolean;
  transposed: boolean;
  nonFinite: CoreNonFinite;
  saturate: boolean;
  /** No scale is smaller; left out: none is too small. */
  leastScale?: number;
  /** Codes are chosen along a trellis, in halves of a step; left out: each by itself. */
  trellis?: boolean;
}

/** The bytes of the parts of a quantized array, 0 for a part that its scheme lacks. */
export interface CoreQuantizedSizes {
  codes: number;
  scales: number;
  zeroPoints: number;
}

/** How far one array is from another (src/quantize/error_stats.h). */
export interface CoreErrorStats {
  sqnr: number;
  maxAbsError: number;
  meanAbsError: number;
  cosine: number;
  sparsity: number;
}

export type CoreMaskPattern = "elements" | "runs" | "channels" | "blocks";

export type CorePooling = "mean" | "max" | "mean-square";

/** A mask to be made (src/prune/masks.h). */
export interface CoreMask {
  pattern: CoreMaskPattern;
  values: HeapBytes;
  /** The mask of an earlier pruning, made one of zeros and ones; left out: everything is alive. */
  alive?: HeapBytes;
  /** Numbers that are compared instead of the values; with a seed random ones are. */
  scores?: HeapBytes;
  seed?: number;
  mask: HeapBytes;
  shape: number[];
  asTfmot: boolean;
  /** All but "runs": how much goes, a count or a fraction. */
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
  /** "blocks"; zerosPerBlock 0: all of a block. */
  blockRows?: number;
  blockColumns?: number;
  pooling?: CorePooling;
  zerosPerBlock?: number;
}

export type CoreSparseForm = "csr" | "csc" | "coo" | "bsr" | "bitmask" | "n:m";

/** A matrix without its zeros (src/sparse/sparse.h). */
export interface CoreSparseShape {
  form: CoreSparseForm;
  rows: number;
  columns: number;
  blockRows: number;
  blockColumns: number;
  n: number;
  m: number;
}

/** The arrays of a sparse matrix; a part that the form lacks has size 0. */
export interface CoreSparse {
  values: HeapBytes;
  pointers: HeapBytes;
  indices: HeapBytes;
  bits: HeapBytes;
}

/** The same, given to the core; a part that the form lacks may be left out. */
export interface CoreSparseParts {
  values?: HeapBytes;
  pointers?: HeapBytes;
  indices?: HeapBytes;
  bits?: HeapBytes;
}

export interface CoreEntryCount {
  count: number;
}

/** A layer's matrix of outputs (rows) and inputs (columns); `inputsFirst`: it lies column by column. */
export interface CoreLayer {
  rows: number;
  columns: number;
  inputsFirst: boolean;
}

/** XᵀX of a layer's inputs X, and how many rows X has. */
export interface CoreMoments {
  sums: HeapBytes;
  samples: number;
}

export type CoreFitMethod = "wanda" | "feedback" | "obc" | "refit";

export type CorePruneTarget = "none" | "count" | "n:m";

/** A layer that is to be pruned, quantized or fitted by src/calibrated. */
export interface CoreLayerFit extends CoreLayer {
  method: CoreFitMethod;
  weights: HeapBytes;
  /** A byte a weight: read by "refit", written by the others. */
  mask: HeapBytes;
  /** XᵀX of the layer's inputs, and of how many rows it is. */
  sums?: HeapBytes;
  samples?: number;
  heldOut?: HeapBytes;
  /** "wanda", instead of these where nobody knows them: the Euclidean norm of each input. */
  norms?: HeapBytes;
  damping?: number;
  /** All but "refit". */
  target?: CorePruneTarget;
  count?: number;
  n?: number;
  m?: number;
  /** "feedback". */
  scheme?: CoreScheme;
  actOrder?: boolean;
  staticGroups?: boolean;
  /** "refit". */
  crossSums?: HeapBytes;
  heldOutBefore?: HeapBytes;
}

/** The results of a fit beside the weights and the mask: the damping that it needed, and the codes of "feedback" with a scheme. */
export interface CoreLayerFitResult {
  damping?: number;
  isLeftOut: boolean;
  codes?: HeapBytes;
  scales?: HeapBytes;
  zeroPoints?: HeapBytes;
}

/** Weights, and others that take their place. */
export interface CoreLayerErrorRequest extends CoreLayer, CoreMoments {
  weights: HeapBytes;
  approximation: HeapBytes;
}

/** Mean squares over the samples: of what the outputs lose, and of the outputs themselves. */
export interface CoreLayerError {
  squaredError: number;
  power: number;
}

/** Weights and the means of their inputs, others that take their place, and a float a row to write to. */
export interface CoreBiasRequest extends CoreLayer {
  weights: HeapBytes;
  mean: HeapBytes;
  approximation: HeapBytes;
  approximateMean: HeapBytes;
  out: HeapBytes;
}

/** How a convolution walks over an image; one of one dimension has height 1. */
export interface CoreConvGeometry {
  channels: number;
  height: number;
  width: number;
  kernelHeight: number;
  kernelWidth: number;
  strideY: number;
  strideX: number;
  dilationY: number;
  dilationX: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
}

/** Bytes of the model's files; they may run over the end of `file` into the next ones. */
export interface CoreRange {
  file: number;
  offset: number;
  size: number;
}

/** A file by its name relative to the main file's folder. */
export interface CoreFile {
  name: string;
  sizeBytes: number;
}

export type CoreStepKind = "read" | "copy" | "write" | "tensor" | "done";

/** The next thing that the host does (src/pipeline/step.h). */
export type CoreStep =
  | ({ kind: "read"; input: number } & CoreRange)
  | ({ kind: "copy"; outputFile: number; outputOffset: number } & CoreRange)
  | { kind: "write"; outputFile: number; outputOffset: number; bytes: HeapBytes }
  | { kind: "tensor"; tensor: number }
  | { kind: "done" };

export type CoreMode = "storage" | "dynamic" | "lowmem";

export type CorePruneMethod =
  "none" | "magnitude" | "random" | "below" | "n:m" | "wanda" | "sparsegpt" | "obc" | "channels";

/** Which weights of a tensor become zero (src/formats/layout.h). */
export interface CorePruneSpec {
  method: CorePruneMethod;
  amount: number;
  isFraction: boolean;
  /** m is 0 for what is not n:m. */
  n: number;
  m: number;
  /** "below". */
  magnitudeBits: number;
  /** "random". */
  seed: number;
  /** "channels". */
  norm: number;
  multipleOf: number;
  /** The number of samples of the calibration, for what needs one. */
  samples: number;
  /** The number of rows that come with the moments of each group, to judge the fit by. */
  heldOut: number;
  damping: number;
  refit: boolean;
  feedback: boolean;
  actOrder: boolean;
}

/** The order for one tensor (src/formats/layout.h). */
export interface CoreTensorSpec {
  keep: boolean;
  scheme: CoreScheme;
  mode: CoreMode;
  /** Written even where nothing is known to use it as a weight (ONNX). */
  isForced: boolean;
  /** The number of elements of a kept tensor that are not zero, to leave out the others. */
  sparseEntries?: number;
  prune?: CorePruneSpec;
}

/** A value of a graph that the file is to give as an output, too. */
export interface CoreTap {
  /** The graph that knows the value by this name; 0 is the main one. */
  graph: number;
  value: string;
  type: string;
}

/** The order for the file as a whole (src/formats/layout.h). */
export interface CoreWriteOptions {
  strip: boolean;
  /** The name of the main output file; empty: as the input's. */
  mainName: string;
  /** A "0" or "1" for each channel of the plan, 1 where it goes; left out: not known yet. */
  removedChannels?: string;
  taps?: CoreTap[];
}

export type CoreOpenKind = "open";

/** A file whose size a model that is being read asks for. */
export type CoreOpenRequest = { kind: "open"; name: string };

/** Which of a recurrent layer's states a value holds: the first one, or those after each step of a direction. */
export type CoreHidden = "initial" | "forward" | "reverse" | "bidirectional";

/** A value that a layer reads (src/formats/model.h). */
export interface CoreLayerInput {
  /** The name of the value. */
  value: string;
  /** The number of the layer's node, in the order of the file. */
  node: number;
  /** The number of the graph that knows the value by this name; 0, the main one, when left out. */
  graph?: number;
  /** The value holds a recurrent layer's states: its first one, or those after each step. */
  hidden?: CoreHidden;
  /** The steps of a convolution, one for each spatial dimension. */
  strides?: number[];
  /** The distances of a convolution's taps, one for each spatial dimension. */
  dilations?: number[];
  /** The zeros around a convolution's input: before all spatial dimensions, then after all. */
  pads?: number[];
  /** ONNX's attribute auto_pad, where a convolution has it instead of pads. */
  autoPad?: string;
}

/** A tensor as the matrices that its layer multiplies by (src/pipeline/layer_view.h). */
export interface CoreLayerView {
  /** The number of outputs of one matrix. */
  rows: number;
  /** The number of inputs of one matrix. */
  columns: number;
  /** The number of matrices, one after the other: groups of a convolution, or directions of a recurrent layer. */
  groups: number;
  /** True for matrices that lie as [columns, rows]. */
  outputsLast: boolean;
}

/** Why a tensor stays as it is, or becomes something else than asked (src/formats/reasons.h). */
export interface CoreReason {
  /** The row of src/formats/reasons.def, which has the sentence. */
  code: ReasonCode;
  /** The words and numbers of the sentence, by the names of their places. */
  arguments?: Record<string, string | number>;
  /** The reason for this reason. */
  cause?: CoreReason;
}

/** A tensor of a model (src/formats/model.h). */
export interface CoreTensorInfo {
  name: string;
  shape: number[];
  type: string;
  quantized: boolean;
  /** The float type that restoring gives; only when it is quantized. */
  restoredType?: string;
  storedBytes: number;
  isWeight: boolean;
  /** Its rows are looked up and multiplied by nothing. */
  isEmbedding?: boolean;
  axis: number;
  consumer: string;
  note?: string;
  reasons?: CoreReason[];
  isSparse?: boolean;
  /** The matrices of its layer; left out for what is none. */
  layer?: CoreLayerView;
  layerInputs?: CoreLayerInput[];
  /** The byte of the main file where a layer's values begin. */
  dataOffset?: number;
}

/** A model, from its headers, without its tensors. */
export interface CoreModelHead {
  format: FormatName;
  files: CoreFile[];
  sizeBytes: number;
  /** The first ones where there are very many. */
  metadata: Record<string, string>;
  /** The number of those that are not among them. */
  metadataLeftOut?: number;
}

/** The fate of a tensor, planned or done (src/pipeline/report.h). */
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
  reasons?: CoreReason[];
  isSparse?: boolean;
  sqnr?: number;
  worstSqnr?: number;
  maxAbsError?: number;
  meanAbsError?: number;
  cosine?: number;
  sparsity?: number;
}

/** A report without its tensors. */
export interface CoreReportHead {
  format: FormatName;
  inputBytes: number;
  outputBytes: number;
  /** The files of the output, the main one first. */
  files: CoreFile[];
}

/** The share of a tensor of an amount that several lose together (src/pipeline/survey.h). */
export interface CoreShare {
  tensor: number;
  magnitudeBits: number;
  count: number;
}

export type CoreRateTargetKind = "bitsPerWeight" | "sqnr" | "bytes";

/** A size or an error that several tensors are to have together (src/calibrated/rate_target.h). */
export interface CoreRateTarget {
  kind: CoreRateTargetKind;
  value: number;
}

/** Tensors that share a target; without one their steps are those of plain int8. */
export interface CoreRateGroup {
  tensors: number[];
  target?: CoreRateTarget;
}

/** The step of a tensor, and what it is expected to cost. */
export interface CoreTensorRate {
  tensor: number;
  /** 0: plain int8. */
  step: number;
  /** One scale does for all rows. */
  isUniform: boolean;
  weights: number;
  /** Of the packed codes and scales. */
  bytes: number;
  squares: number;
  noise: number;
}

/** The expected size of a packed model. */
export interface CoreRates {
  tensors: CoreTensorRate[];
  /** Of everything else in the file. */
  otherBytes: number;
}
