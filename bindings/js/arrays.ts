/**
 * modelshrink/arrays: the array functions alone, on a core of a quarter of the bytes. They are those of "modelshrink":
 * synchronous, and they need `await init()` first. Layers whose inputs are known (Gram, refit, options `gram`) need
 * "modelshrink". A page may import both; they share all classes.
 */
export type { InitInfo, InitOptions } from "./core/init-options.js";
export { init } from "./core/small.js";
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
export type { Gram } from "./arrays/gram.js";
export type { BlockType, Codes, FloatType, IntegerType, QuantizedType } from "./arrays/types.js";
export { compareArrays as compare } from "./arrays/quantize.js";
export { version } from "./base/version.js";
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
