/** The options and results of layouts. */
import type { Blob } from "../base/platform-types.js";
import type { FileInfo, Report, RunOptions } from "../models/types.js";
import type { Dtype } from "./dtypes.js";
import type { FolderSink } from "./output.js";

/** The options of `shrink` for a repository of models. */
export interface LayoutOptions extends RunOptions {
  /**
   * The folder that is written: "transformers" is one that transformers.js loads, with each .onnx file of the repository in
   * each of `dtypes`, and its configuration and tokenizer.
   */
  layout: "transformers";
  /** The number types by the names that transformers.js has for them; all by default. */
  dtypes?: readonly Dtype[];
  /**
   * The place of the output: a folder's path or file: address (Node.js), which appears whole or not at all; an empty
   * folder's handle, or a function that gives a sink for each path, where `config.json` comes last; by default memory.
   */
  sink?: FolderSink;
  /** The most bytes that an output of more than 1 MiB may have for each byte of its input, from 1; 10 by default. */
  maxGrowth?: number | undefined;
  /** The number of workers, as for {@link shrink}. */
  workers?: number;
}

/** A model in one number type. */
export interface LayoutModel {
  /** Its path in the repository. */
  input: string;
  /** The number type. */
  dtype: Dtype;
  /** The files that were written for it, by their paths; the main one comes first. */
  files: FileInfo[];
  /** The fate of each tensor. */
  report: Report;
}

/** What was written. */
export interface LayoutReport {
  /** The kind of folder. */
  layout: "transformers";
  /** The size of the repository's models, in bytes. */
  inputBytes: number;
  /** The size of all models that were written, in bytes. */
  outputBytes: number;
  /** The models that were written. */
  models: LayoutModel[];
  /** The files that were copied. */
  copied: string[];
  /** The models of the repository that were not read, because they are in a small number type already. */
  leftOut: string[];
}

/** The result of `shrink` with a layout. */
export interface LayoutResult {
  /** The output by path; empty when it went to a `sink`. */
  files: Record<string, Blob>;
  /** What was written. */
  report: LayoutReport;
}
