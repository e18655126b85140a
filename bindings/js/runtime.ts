/**
 * modelshrink/runtime: functions that run a model. It runs in the user's own onnxruntime (onnxruntime-node,
 * onnxruntime-web), which is passed in.
 */
export { calibrate, type CalibrateOptions } from "./runtime/calibrate.js";
export {
  refitLayers,
  type RefitLayersOptions,
  type RefittedModel,
  type SkippedLayer,
} from "./runtime/refit-layers.js";
export type { OutputComparison } from "./runtime/output-sums.js";
export {
  verify,
  type MetricComparison,
  type SkippedOutput,
  type Verification,
  type VerifyOptions,
} from "./runtime/verify.js";
export type {
  Feeds,
  Metric,
  OrtModule,
  OrtTensor,
  Run,
  Samples,
  SessionOptions,
  TensorParts,
} from "./runtime/session.js";
