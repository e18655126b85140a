/**
 * What the page and its worker say to each other. Each request has an id, which its answers repeat: any number of
 * "news", then one "done", "failed" or "cancelled".
 */
import type { FormatName, Plan, Recipe, Report } from "modelshrink";
import type { Files } from "../open/files.js";
import type { Histogram } from "../result/histogram.js";

/** A model's files, or the address of its main file. */
export type Model = Files | string;

/** A recipe with the name of the preset that it comes from. */
export interface NamedRecipe {
  name: string;
  recipe: Recipe;
}

export interface Opened {
  format: FormatName;
  /** The model's files, the main one first. */
  names: string[];
  inputBytes: number;
  /** A preset, and why this one. */
  suggested: string;
  why: string;
  numTensors: number;
  /** The bytes of tensors that are quantized already. */
  quantizedBytes: number;
}

/** What a recipe would make of the model. */
export interface Sized {
  name: string;
  /** 0 where the recipe is refused. */
  outputBytes: number;
  /** Why nothing would change; undefined where something does. */
  refusal?: string;
  /** It takes quantized weights, too, because nothing changes otherwise. */
  requantizes: boolean;
}

/** What a recipe made of the model. */
export interface Measured {
  name: string;
  outputBytes: number;
  /** The signal to noise ratio over all weights, in dB. */
  sqnr: number;
}

export interface Shrunk {
  report: Report;
  files: Files;
  seconds: number;
}

/** What is asked, told on the way, and answered. */
export interface Jobs {
  open: { ask: { model: Model }; news: never; result: Opened };
  plan: { ask: { model: Model; recipe: Recipe }; news: never; result: Plan };
  /** `mayRequantize`: recipes that change nothing are planned for quantized weights, too. */
  sizes: {
    ask: { model: Model; recipes: NamedRecipe[]; mayRequantize: boolean };
    news: Sized;
    result: null;
  };
  /** Without a recipe quantized weights become floats again. */
  shrink: { ask: { model: Model; recipe: Recipe | undefined }; news: number; result: Shrunk };
  measure: { ask: { model: Model; recipes: NamedRecipe[] }; news: Measured; result: null };
  weights: {
    ask: { before: Model; after: Files | undefined; name: string };
    news: never;
    result: Histogram;
  };
}

export type JobKind = keyof Jobs;

export type Request =
  | { [K in JobKind]: { kind: K; id: number; ask: Jobs[K]["ask"] } }[JobKind]
  | { kind: "cancel"; id: number }
  /** Nobody needs the files of this shrink any more. */
  | { kind: "release"; id: number };

export type Answer =
  | { kind: "news"; id: number; news: Jobs[JobKind]["news"] }
  | { kind: "done"; id: number; result: Jobs[JobKind]["result"] }
  | { kind: "failed"; id: number; message: string }
  | { kind: "cancelled"; id: number };
