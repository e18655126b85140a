/** The options and results of the model functions. */
import type { FormatName } from "../base/formats.js";
import type { Progress } from "../base/meter.js";
import type { URL } from "../base/platform-types.js";
import type {
  CoreLayerInput as LayerInput,
  CoreLayerView as LayerMatrices,
  CoreReason as Reason,
} from "../core/types.js";
import type { ReadOptions } from "../files/raw.js";
import type { OneSink, SinkFor } from "../files/sink.js";
import type { Calibration } from "../recipe/calibration.js";
import type { Rate } from "../recipe/targets.js";
import type { FilesResult } from "./result.js";

/** Options of everything that reads a model. */
export interface RunOptions extends ReadOptions {
  /** Is called as the work goes on. */
  onProgress?: (progress: Progress) => void;
}

/** A tensor of a model, as its headers describe it. */
export interface TensorInfo {
  /** Unique within the model. */
  name: string;
  /** The sizes of its dimensions, outermost first. */
  shape: number[];
  /** The stored element type. */
  type: string;
  /** True when it is already quantized. */
  quantized: boolean;
  /** The float type that `restore` gives it; only when it is quantized. */
  restoredType?: string;
  /** The bytes that the file spends on it, scales and zero points included. */
  storedBytes: number;
  /** True for a weight that can be quantized; otherwise `reasons` say why it cannot. */
  isWeight: boolean;
  /** The axis of output channels. */
  axis: number;
  /** The operator that consumes it ("Conv"); empty when none does. */
  consumer: string;
  /** The `reasons` as sentences, for people. */
  note?: string;
  /** Why it is no weight, or stays as it is stored. */
  reasons?: Reason[];
  /** True for a tensor that is stored without its zeros. */
  isSparse?: boolean;
  /** The matrices that its layer multiplies by; left out for what is no layer's. */
  layer?: LayerMatrices;
  /** The values that its layers read, in formats that tell; `calibrate` looks at them. */
  layerInputs?: LayerInput[];
  /** The byte of the main file where a layer's values begin; left out where they lie elsewhere. */
  dataOffset?: number;
}

export type { LayerInput, LayerMatrices, Rate, Reason };

/** The values of a tensor: the result of `readTensor`. */
export interface TensorValues {
  /** The name that was asked for. */
  name: string;
  /** The sizes of its dimensions, outermost first. */
  shape: number[];
  /** All its elements, the last dimension fastest. */
  values: Float32Array;
}

/** A file of a model. */
export interface FileInfo {
  /** Its name, relative to the folder of the main file. */
  name: string;
  /** Its size in bytes. */
  bytes: number;
}

/** The structure of a model: the result of `inspect`. */
export interface ModelInfo {
  /** The format that its first bytes show. */
  format: FormatName;
  /** The size of all its files, in bytes. */
  inputBytes: number;
  /** The main file comes first. */
  files: FileInfo[];
  /** Facts of the format by name, such as the opset of an ONNX model: the first 10,000 of them. */
  metadata: Record<string, string>;
  /** The number of further facts, where the file has more. */
  metadataLeftOut?: number;
  /** All tensors, in the order of the file. */
  tensors: TensorInfo[];
}

/** A tensor of a plan. */
export interface PlannedTensor {
  /** Unique within the model. */
  name: string;
  /** The sizes of its dimensions in the input. */
  shape: number[];
  /** The type that it is stored as in the input. */
  from: string;
  /** The type that it is stored as in the output; equal to `from` when it stays. */
  to: string;
  /** The method that makes weights zero or makes up for errors: "magnitude", "sparsegpt 2:4 gptq", … */
  method?: string;
  /** The sizes of its dimensions in the output: `shape` without the channels that leave. */
  outputShape: number[];
  /** The bytes that it takes in the input. */
  inputBytes: number;
  /** The bytes that it takes in the output, scales and zero points included. */
  outputBytes: number;
  /** The `reasons` as sentences, for people. */
  note?: string;
  /** Why it is kept, or done otherwise than asked. */
  reasons?: Reason[];
  /** True for a tensor that is written without its zeros. */
  isSparse?: boolean;
}

/** The floats that stay as they are in a model that is quantized, of one operator. */
export interface KeptFloats {
  /** The operator that consumes them; "" where none does, or the format does not tell. */
  consumer: string;
  /** Their size in the input. */
  bytes: number;
}

/** The result of `plan`. */
export interface Plan {
  /** The format of the input, and of the output. */
  format: FormatName;
  /** The size of all input files, in bytes. */
  inputBytes: number;
  /** The size of all output files, in bytes: exactly as many as `shrink` will write. */
  outputBytes: number;
  /** The output files; the main file comes first. */
  files: FileInfo[];
  /** All tensors of the input, in its order. */
  tensors: PlannedTensor[];
  /** True where nothing changes: every tensor stays, and nothing else is left out. The `warnings` say why. */
  isIdle?: boolean;
  /** What the output is expected to take when it is packed: of recipes with a target, and of plans with `survey`. */
  rate?: Rate;
  /** Where more than 5 % of the input's bytes stay floats though others do not: how many, by operator. */
  keptFloats?: KeptFloats[];
  /** Sentences for the recipe's author: a rule that matches no weight, zeros that are stored like other numbers. */
  warnings?: string[];
}

/**
 * A tensor of a report. The errors compare the output's values with the input's, and are left out for tensors that
 * were not touched or lost channels.
 */
export interface ReportedTensor extends PlannedTensor {
  /** The signal to quantization noise ratio in dB; Infinity when no value changed. */
  sqnr?: number;
  /**
   * The lowest sqnr of an output of the layer (a row or column of its matrix; a first axis where nobody knows the
   * layer); left out for vectors and where weights were pruned.
   */
  worstSqnr?: number;
  /** The largest |output − input| of an element. */
  maxAbsError?: number;
  /** The mean |output − input| of an element. */
  meanAbsError?: number;
  /** The cosine of the angle between input and output as vectors, −1 to 1. */
  cosine?: number;
  /** The fraction of zeros in the output, 0 to 1. */
  sparsity?: number;
}

/** A plan that was carried out, or a comparison: with the errors of each tensor. */
export interface Report extends Plan {
  /** All tensors of the input, in its order. */
  tensors: ReportedTensor[];
}

/** Options of everything that plans an output. */
export interface PlanOptions extends RunOptions {
  /**
   * The result of `calibrate` of "modelshrink/runtime". Recipes need it that prune by "wanda", "sparsegpt" or "obc",
   * fit anew, or quantize by GPTQ.
   */
  calibration?: Calibration;
  /**
   * The most bytes that an output of more than 1 MiB may have for each byte of the input, from 1; 10 by default. A
   * hostile file may describe a thousand tensors by the same bytes.
   */
  maxGrowth?: number | undefined;
}

/** Options of `plan`. */
export interface SurveyOptions extends PlanOptions {
  /**
   * Reads the weights, too, and foresees the size of the packed output (`rate` of the plan), with the steps of a recipe
   * that has a target. False by default: a plan reads headers alone.
   */
  survey?: boolean;
  /** The number of workers for that, as `shrink` takes it. */
  workers?: number;
}

/** Options of everything that writes a model. */
export interface WriteOptions extends PlanOptions {
  /**
   * The place of the output: a path or file: address (Node.js), a sink for an output of one file, or a function that
   * gives a sink for each file; by default memory.
   */
  sink?: string | URL | OneSink | SinkFor;
  /**
   * Goes on where an earlier run to the same path was cut off, and leaves what it has done when it is
   * cut off itself. A run that was killed can be resumed either way.
   */
  resume?: boolean;
  /** Writes nothing where nothing changes (`report.isIdle`); false by default, which writes a copy. */
  skipIdle?: boolean;
  /**
   * The number of workers that do the work while this thread reads and writes for them, 0 to 64; by default one for each
   * core of a page's machine, on Node.js for each core but two, up to 8. 0: this thread does the work, as it does for less
   * than 4 MiB, where no worker starts and, by default, for more than 5,000 tensors, of which each worker would hold the
   * structure.
   */
  workers?: number;
}

/** Options of `compare`. */
export interface CompareOptions extends RunOptions {
  /** 0: this thread does the work, and not one worker, as it does by default. */
  workers?: number;
}

/** Options of `restore`. */
export interface RestoreOptions extends Omit<WriteOptions, "calibration"> {
  /**
   * The number type of the restored weights: "float32", "float16" or "bfloat16"; by default the one that they once
   * had, or float32 where the file does not say.
   */
  weights?: "float32" | "float16" | "bfloat16";
}

/** The result of everything that writes a model. */
export interface WriteResult extends FilesResult<Report> {
  /** The fate of each tensor. */
  report: Report;
}
