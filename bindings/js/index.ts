/**
 * modelshrink: makes neural-network weights small, exactly and in bounded memory.
 * Array functions are synchronous and need `await init()` first; model functions load the core
 * themselves.
 */
export { init, type InitInfo, type InitOptions } from "./core/load.js";
export {
  dequantize,
  quantize,
  type ErrorStats,
  type NonFinite,
  type QuantizedTensor,
  type QuantizeOptions,
} from "./arrays/quantize.js";
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
  type Schedule,
} from "./arrays/allocation.js";
export {
  bestSparse,
  fromSparse,
  toSparse,
  type SparseArray,
  type SparseFormat,
  type SparseOptions,
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
} from "./models/models.js";
export type { Progress } from "./base/meter.js";
export type { RunOptions } from "./models/open.js";
export { compare } from "./compare.js";
export { presets, type FormatName, type Preset } from "./recipe/presets.js";
export type { Guard, GuardOutcome } from "./runtime/guard.js";
export type { Calibration } from "./recipe/calibration.js";
export type { PruneRecipe } from "./recipe/pruning.js";
export type { Granularity, Mode, Recipe, Rule } from "./recipe/order.js";
export type { OneSource, RandomAccess, Source } from "./files/open.js";
export type { Sink, SinkFor } from "./files/target.js";
export {
  formatBytes,
  formatModelInfo,
  formatPlan,
  formatReport,
  formatVerification,
} from "./text.js";
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
