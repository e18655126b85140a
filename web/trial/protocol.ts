/** What the page and the worker that runs models ask each other. */
import type { OutputComparison } from "modelshrink/runtime";
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

/** The two models of an offer, which every job of its worker is given. */
export interface Given {
  models: Pair<Files>;
}

/** Each tells how far it is, as a part of 1. */
export type Jobs = {
  read: { ask: Given & { lines: ImageData[] }; news: number; result: Pair<Reading>[] };
  listen: { ask: Given; news: number; result: Hearing };
  /** `samples` is a JSON file of samples; random ones where there is none. */
  compare: {
    ask: Given & { format: "onnx" | "tfjs"; samples?: Blob };
    news: number;
    result: OutputsComparison;
  };
};
