/** What the page and the worker that runs the library ask each other. */
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
  /** About what the packed file takes; undefined while nobody has looked at the weights. */
  packedBytes?: number;
}

/** What a look at the weights tells of a recipe. */
export interface Foreseen {
  name: string;
  /** The size of a recipe with a target is exact only now. */
  outputBytes: number;
  packedBytes: number;
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
export type Jobs = {
  open: { ask: { model: Model }; news: never; result: Opened };
  /** `looks`: at the weights, too, of which recipes with a target make their steps. */
  plan: { ask: { model: Model; recipe: Recipe; looks: boolean }; news: never; result: Plan };
  /** `mayRequantize`: recipes that change nothing are planned for quantized weights, too. */
  sizes: {
    ask: { model: Model; recipes: NamedRecipe[]; mayRequantize: boolean };
    news: Sized;
    result: null;
  };
  /** Looks at the weights for each recipe. */
  foresee: { ask: { model: Model; recipes: NamedRecipe[] }; news: Foreseen; result: null };
  /** Without a recipe quantized weights become floats again. */
  shrink: { ask: { model: Model; recipe: Recipe | undefined }; news: number; result: Shrunk };
  /** Packs files into one of this name. */
  pack: { ask: { files: Files; name: string; toDisk: boolean }; news: never; result: Blob };
  measure: { ask: { model: Model; recipes: NamedRecipe[] }; news: Measured; result: null };
  weights: {
    ask: { before: Model; after: Files | undefined; name: string };
    news: never;
    result: Histogram;
  };
};
