/**
 * modelshrink: makes neural-network weights small, exactly and in bounded memory.
 * Array functions are synchronous and need `await init()` first; model functions load the core
 * themselves.
 */
export { init, type InitInfo, type InitOptions } from "./load.js";
export {
  dequantize,
  quantize,
  type ErrorStats,
  type NonFinite,
  type QuantizedTensor,
  type QuantizeOptions,
} from "./arrays.js";
export {
  isPruned,
  prune,
  pruneGlobal,
  remove,
  type GlobalPruneOptions,
  type PrunedArray,
  type PruneMethod,
  type PruneOptions,
} from "./prune.js";
export {
  allocateSparsity,
  prunesAt,
  sparsityAt,
  type AllocationOptions,
  type Schedule,
} from "./allocation.js";
export {
  bestSparse,
  fromSparse,
  toSparse,
  type SparseArray,
  type SparseFormat,
  type SparseOptions,
  type SparseSizes,
} from "./sparse.js";
export { Gram, type ConvWindow, type GramOptions } from "./gram.js";
export {
  biasCorrection,
  layerError,
  refit,
  type LayerError,
  type LayerOptions,
  type RefitOptions,
} from "./layers.js";
export type { BlockType, Codes, FloatType, IntegerType, QuantizedType } from "./types.js";
export {
  inspect,
  plan,
  restore,
  shrink,
  type FileInfo,
  type LayerInput,
  type ModelInfo,
  type Plan,
  type PlannedTensor,
  type Report,
  type ReportedTensor,
  type ShrinkOptions,
  type ShrinkResult,
  type TensorInfo,
} from "./models.js";
export type { Progress } from "./meter.js";
export type { RunOptions } from "./open-model.js";
export { compare } from "./compare.js";
export { presets, type FormatName, type Preset } from "./presets.js";
export type { Guard, GuardOutcome } from "./guard.js";
export type { Calibration } from "./calibration.js";
export type { PruneRecipe } from "./prune-recipe.js";
export type { Granularity, Mode, Recipe, Rule } from "./recipe.js";
export type { OneSource, RandomAccess, Source } from "./source.js";
export type { Sink, SinkFor } from "./sink.js";
export {
  formatBytes,
  formatModelInfo,
  formatPlan,
  formatReport,
  formatVerification,
} from "./format.js";
export {
  ArgumentError,
  FormatError,
  IntegrityError,
  ModelShrinkError,
  OutOfMemoryError,
  UnsupportedError,
  type ErrorCode,
  type ErrorDetails,
} from "./errors.js";
