/**
 * modelshrink: makes neural-network weights small, exactly and in bounded memory.
 * Array functions are synchronous and need `await init()` first; model functions load the core
 * themselves.
 */
export type { RandomAccess, ReadOptions } from "./files/raw.js";
export type { InitInfo, InitOptions } from "./core/init-options.js";
export { init } from "./core/init.js";
export {
  dequantize,
  quantize,
  type DequantizeOptions,
  type ErrorStats,
  type QuantizeOptions,
} from "./arrays/quantize.js";
export type { Floats } from "./arrays/floats.js";
export type { OutOptions } from "./arrays/out.js";
export type { NonFinite, QuantizedTensor } from "./arrays/tensor.js";
export {
  isPruned,
  prune,
  pruneGlobal,
  remove,
  type GlobalPruneOptions,
  type PrunedArray,
  type PruneMethod,
  type PruneOptions,
} from "./arrays/prune.js";
export {
  allocateSparsity,
  prunesAt,
  sparsityAt,
  type AllocationOptions,
  type ConstantSchedule,
  type CubicSchedule,
  type PolynomialSchedule,
  type Schedule,
} from "./arrays/allocation.js";
export {
  bestSparse,
  fromSparse,
  toSparse,
  type SparseArray,
  type SparseFormat,
  type SparseOptions,
  type SparseSizeOptions,
  type SparseSizes,
} from "./arrays/sparse.js";
export { Gram, type ConvWindow, type GramOptions } from "./arrays/gram.js";
export {
  biasCorrection,
  layerError,
  refit,
  type LayerError,
  type LayerOptions,
  type RefitOptions,
} from "./arrays/layers.js";
export type { BlockType, Codes, FloatType, IntegerType, QuantizedType } from "./arrays/types.js";
export { inspect } from "./models/inspect.js";
export { pack, unpack } from "./packing.js";
export type { PackOptions, PackReport, PackResult, UnpackOptions } from "./pack/types.js";
export { plan } from "./plan.js";
export { readTensor } from "./read-tensor.js";
export { restore } from "./models/write.js";
export { shrink, type GuardedResult, type ShrinkOptions, type ShrinkResult } from "./shrink.js";
export type {
  CompareOptions,
  FileInfo,
  LayerInput,
  LayerMatrices,
  ModelInfo,
  KeptFloats,
  Plan,
  PlannedTensor,
  PlanOptions,
  Rate,
  Reason,
  Report,
  ReportedTensor,
  RestoreOptions,
  RunOptions,
  SurveyOptions,
  TensorInfo,
  TensorValues,
  WriteOptions,
  WriteResult,
} from "./models/types.js";
export type {
  GuardFor,
  LayoutModel,
  LayoutOf,
  LayoutOptions,
  LayoutPlan,
  LayoutPlanOptions,
  LayoutReport,
  LayoutResult,
  ModelInDtype,
  PlannedLayoutModel,
} from "./layout/types.js";
export type { Dtype } from "./layout/dtypes.js";
export type { FolderSink } from "./layout/output.js";
export type { ReasonCode } from "./base/reason-table.js";
export type { Progress } from "./base/meter.js";
export { compare } from "./compare.js";
export { presets, type Preset } from "./recipe/presets.js";
export type { FormatName } from "./base/formats.js";
export type { Guard, GuardOutcome } from "./runtime/guard.js";
export type { Calibration } from "./recipe/calibration.js";
export type { Granularity, Mode, Recipe } from "./recipe/options.js";
export type {
  CalibratedRecipe,
  MagnitudeRecipe,
  PatternRecipe,
  PrunedFraction,
  PrunedPattern,
  PruneRecipe,
  RandomRecipe,
  RateTarget,
  RefitWords,
  Rule,
  SizeTarget,
  StructuredRecipe,
  TargetedWeights,
} from "./recipe/types.js";
export type { OneSource, Source } from "./files/source.js";
export type { OneSink, Sink, SinkFor } from "./files/sink.js";
export type {
  NodeFileHandle,
  NodeReadResult,
  NodeStats,
  NodeWritable,
} from "./files/node-types.js";
export { version } from "./base/version.js";
export { formatBytes } from "./base/bytes.js";
export {
  ArgumentError,
  FormatError,
  IntegrityError,
  ModelShrinkError,
  OutOfMemoryError,
  UnsupportedError,
  type ErrorCode,
  type ErrorDetails,
} from "./base/errors.js";
