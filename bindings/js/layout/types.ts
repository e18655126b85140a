/** The options and results of layouts. */
import type { Blob } from "../base/platform-types.js";
import type { FileInfo, Plan, Report, RunOptions } from "../models/types.js";
import type { Guard, GuardOutcome } from "../runtime/guard.js";
import type { Dtype } from "./dtypes.js";
import type { FolderSink } from "./output.js";

/** The options of `plan` for a repository of models. */
export interface LayoutPlanOptions extends RunOptions {
  /**
   * The folder that is planned: "transformers" is one that transformers.js loads, with each .onnx file of the repository in
   * each of `dtypes`, and its configuration and tokenizer.
   */
  layout: "transformers";
  /** The number types by the names that transformers.js has for them; all by default. */
  dtypes?: readonly Dtype[];
  /** The most bytes that an output of more than 1 MiB may have for each byte of its input, from 1; 10 by default. */
  maxGrowth?: number | undefined;
}

/** Gives the guard of a model of the repository in a number type; undefined for none. */
export type GuardFor = (model: Pick<ModelInDtype, "input" | "dtype">) => Guard | undefined;

/** The options of `shrink` for a repository of models. */
export interface LayoutOptions extends LayoutPlanOptions {
  /**
   * The place of the output: a folder's path or file: address (Node.js), which appears whole or not at all; an empty
   * folder's handle, or a function that gives a sink for each path, where `config.json` comes last; by default memory.
   */
  sink?: FolderSink;
  /** The number of workers, as for {@link shrink}. */
  workers?: number;
  /**
   * Goes on with what an earlier run of the same order has left beside a path: models that are finished there are checked
   * against what was written and stay, and so does what came from a hub at the same commit and is as it was then. What this run leaves when it
   * fails or is aborted stays for the next one. A run that was killed can be gone on with either way.
   */
  resume?: boolean;
  /**
   * Runs each model that is written in onnxruntime, beside its original, and shrinks it less until it is good enough, as
   * for one model. Models with other inputs need guards of their own, which a function gives.
   */
  guard?: Guard | GuardFor;
}

/** A model of the repository in one number type. */
export interface ModelInDtype {
  /** Its path in the repository. */
  input: string;
  /** The number type. */
  dtype: Dtype;
  /** The files of its output, by their paths; the main one comes first. */
  files: FileInfo[];
}

/** A model in one number type, before it is written. */
export interface PlannedLayoutModel extends ModelInDtype {
  /** The planned fate of each tensor. */
  plan: Plan;
}

/** A model in one number type. */
export interface LayoutModel extends ModelInDtype {
  /** The fate of each tensor. */
  report: Report;
  /** The guard's findings and the tensors that it gave up, where the model has one. */
  guard?: GuardOutcome;
}

/** A layout, and what becomes of each model in it. */
export interface LayoutOf<Model> {
  /** The kind of folder. */
  layout: "transformers";
  /** The size of the repository's models, in bytes. */
  inputBytes: number;
  /** The size of all models of the output, in bytes. */
  outputBytes: number;
  /** The models of the output. */
  models: Model[];
  /** The files that are copied. */
  copied: string[];
  /** The models of the repository that are not read, because they are in a small number type already. */
  leftOut: string[];
}

/** What would be written. */
export type LayoutPlan = LayoutOf<PlannedLayoutModel>;

/** What was written. */
export type LayoutReport = LayoutOf<LayoutModel>;

/** The result of `shrink` with a layout. */
export interface LayoutResult {
  /** The output by path; empty when it went to a `sink`. */
  files: Record<string, Blob>;
  /** What was written. */
  report: LayoutReport;
}
