/** What the model functions take and give. */
import type { FormatName } from "../base/formats.js";
import type { Progress } from "../base/meter.js";
import type { CoreLayerInput } from "../core/types.js";
import type { Sink, SinkFor } from "../files/sink.js";
import type { Calibration } from "../recipe/calibration.js";

export interface RunOptions {
  /** Rejects with the signal's reason; nothing is left behind. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface TensorInfo {
  /** Unique within the model. */
  name: string;
  shape: number[];
  /** The stored element type. */
  type: string;
  /** Whether it is already quantized. */
  quantized: boolean;
  /** The float type that `restore` gives it; only when it is quantized. */
  restoredType?: string;
  /** What the file spends on it, in bytes. */
  storedBytes: number;
  /** Whether it is a weight that can be quantized; `note` says why not. */
  isWeight: boolean;
  /** The axis of output channels. */
  axis: number;
  /** The operator that consumes it ("Conv"); empty when none does. */
  consumer: string;
  note?: string;
  /** How many groups a convolution has its outputs in, directions a recurrent layer; 1 when left out. */
  groups?: number;
  /** Where the inputs of its layers come from, in formats that tell: what `calibrate` looks at. */
  layerInputs?: LayerInput[];
  /** Of a layer: where its values begin in the main file. */
  dataOffset?: number;
}

export type LayerInput = CoreLayerInput;

export interface FileInfo {
  name: string;
  bytes: number;
}

export interface ModelInfo {
  format: FormatName;
  inputBytes: number;
  /** The main file comes first. */
  files: FileInfo[];
  metadata: Record<string, string>;
  tensors: TensorInfo[];
}

export interface PlannedTensor {
  name: string;
  shape: number[];
  from: string;
  to: string;
  /** How weights became zero, and what makes up for it: "magnitude", "sparsegpt 2:4 gptq", … */
  method?: string;
  /** Without the channels that leave. */
  outputShape: number[];
  inputBytes: number;
  outputBytes: number;
  /** Why it was kept, or done otherwise than asked. */
  note?: string;
}

export interface Plan {
  format: FormatName;
  inputBytes: number;
  /** Exactly what `shrink` will write. */
  outputBytes: number;
  /** Of the output; the main file comes first. */
  files: FileInfo[];
  tensors: PlannedTensor[];
  /** What the recipe's author should know, such as a rule that matches no weight. */
  warnings?: string[];
}

export interface ReportedTensor extends PlannedTensor {
  /** Signal to quantization noise ratio in dB; Infinity when nothing changed. No errors of what lost channels. */
  sqnr?: number;
  maxAbsError?: number;
  meanAbsError?: number;
  cosine?: number;
  /** The fraction of zeros. */
  sparsity?: number;
}

export interface Report extends Plan {
  tensors: ReportedTensor[];
}

export interface WriteOptions extends RunOptions {
  /**
   * Where the output goes: a path (Node.js), a Sink for an output of one file, or what gives a Sink
   * for each file's name; by default memory.
   */
  sink?: string | Sink | SinkFor;
  /**
   * Goes on where an earlier run to the same path was cut off, and leaves what it has done when it is
   * cut off itself. A run that was killed can be resumed either way.
   */
  resume?: boolean;
  /**
   * What `calibrate` of "modelshrink/runtime" found; for recipes that prune by "wanda", "sparsegpt" or
   * "obc", fit anew, or quantize by GPTQ.
   */
  calibration?: Calibration;
  /** How many threads do the work, this one included; by default it alone. */
  workers?: number;
}

export interface WriteResult {
  /** The output by name; empty when it went to a `sink`. */
  files: Record<string, Blob>;
  /** The output of a one-file model. */
  bytes(): Promise<Uint8Array>;
  report: Report;
}
