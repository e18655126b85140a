/**
 * modelshrink/runtime: what needs a running model. It runs in the user's own onnxruntime (onnxruntime-node,
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
  type OutputComparison,
  type Verification,
  type VerifyOptions,
} from "./runtime/verify.js";
export type { Feeds, Metric, OrtModule, OrtTensor, Run } from "./runtime/session.js";
