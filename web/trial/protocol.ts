/** What the page and the worker that runs models ask each other. A worker has the two models of one offer. */
import type { OutputComparison } from "modelshrink/runtime";
import type { JobRequest } from "../base/jobs.js";
import type { Files } from "../open/files.js";

/** Something of the original, and of the model that was made of it. */
export interface Pair<T> {
  original: T;
  small: T;
}

/** What a recognizer reads in a drawn line. */
export interface Reading {
  text: string;
  /** The mean probability of its letters, 0 to 1. */
  confidence: number;
  milliseconds: number;
}

/** The speech probabilities of all frames of the sound. */
export interface Hearing {
  probabilities: Pair<number[]>;
  /** The time that a frame takes. */
  milliseconds: Pair<number>;
}

/** How far the outputs of both models are from each other. */
export interface OutputsComparison {
  samples: number;
  /** A sentence for each input: what it was given. */
  inputs: string[];
  outputs: OutputComparison[];
  /** A sentence for each output that could not be compared. */
  skipped: string[];
  /** The time that a sample takes. */
  milliseconds: Pair<number>;
}

/** What a worker can be asked for, and what it gives. */
export type Jobs = {
  read: { given: { lines: ImageData[] }; result: Pair<Reading>[] };
  listen: { given: object; result: Hearing };
  /** `samples` is a JSON file of samples; random ones where there is none. */
  compare: { given: { format: "onnx" | "tfjs"; samples?: Blob }; result: OutputsComparison };
};

/** The first message gives the models; the others are jobs. */
export type Request = { kind: "models"; models: Pair<Files> } | JobRequest<Jobs>;
