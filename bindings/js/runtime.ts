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
export {
  verify,
  type MetricComparison,
  type OutputComparison,
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
  TensorParts,
} from "./runtime/session.js";
