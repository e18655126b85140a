/** Parts of recipes as users write them. */
import type { QuantizedType } from "../arrays/types.js";

/** Options of every pruning that need a calibration. */
export interface RefitWords {
  /** Fits the surviving weights anew by least squares; true by default for "structured", false for the others. */
  refit?: boolean;
  /** Is added to the diagonal of XᵀX, as a fraction of its mean, 0 to 100; 0.01 by default. */
  damping?: number;
}

/** An amount of pruning as a fraction. */
export interface PrunedFraction {
  /** The fraction of the weights that goes, 0 to 1. */
  sparsity: number;
}

/** An amount of pruning as a pattern: of each `m` inputs of an output `n` stay. */
export interface PrunedPattern {
  /** The number that stays, 1 to 63. */
  n: number;
  /** The length of a run, above `n`, at most 64. */
  m: number;
}

/** The weights of the smallest |w| go. */
export interface MagnitudeRecipe extends PrunedFraction, RefitWords {
  /** The name of the method. */
  method: "magnitude";
  /**
   * The way in which tensors share the sparsity. "uniform" (the default): each has it; "erk": small ones lose less,
   * by their dimensions; "global": one threshold for all; "lamp": layer-adaptive magnitudes. The last two read the
   * weights before, and leave out tensors with rules of their own.
   */
  allocation?: "uniform" | "erk" | "global" | "lamp";
}

/** Random weights go. */
export interface RandomRecipe extends PrunedFraction, RefitWords {
  /** The name of the method. */
  method: "random";
  /** The same seed gives the same mask everywhere; 0 by default. */
  seed?: number;
}

/** All but the n largest of each m inputs of an output go. */
export interface PatternRecipe extends PrunedPattern, RefitWords {
  /** The name of the method. */
  method: "n:m";
}

/**
 * Methods that need a calibration: "wanda" prunes the smallest |w|·‖x‖ within each output; with "sparsegpt" and
 * "obc" the surviving weights make up for the pruned ones.
 */
export type CalibratedRecipe = {
  /** The name of the method. */
  method: "wanda" | "sparsegpt" | "obc";
} & (PrunedFraction | PrunedPattern) &
  RefitWords;

/**
 * Whole channels and neurons of the smallest norm leave an ONNX graph, which becomes smaller and faster
 * everywhere; layers that are added to each other lose the same ones.
 */
export interface StructuredRecipe extends PrunedFraction, RefitWords {
  /** The name of the method. */
  method: "structured";
  /** The p of the Lp norm of a channel's weights, above 0; Infinity means the largest |w|; 2 by default. */
  norm?: number;
  /**
   * The number of channels that stay is rounded up to a multiple of this, because runtimes compute several at a
   * time; 8 by default, 1 for exactly the sparsity.
   */
  multipleOf?: number;
}

/** The way in which weights become zero, or channels leave. */
export type PruneRecipe =
  MagnitudeRecipe | RandomRecipe | PatternRecipe | CalibratedRecipe | StructuredRecipe;

/** A size or an error that several weights have together; their steps are chosen for it. */
export type RateTarget =
  | {
      /** The bits of a weight, on average, once the codes are packed; without scales and the rest of the file. */
      bitsPerWeight: number;
    }
  | {
      /** The signal to noise ratio of all these weights together, in dB, with codes rounded to nearest. */
      sqnr: number;
    };

/** A target of a whole recipe. */
export type SizeTarget =
  | RateTarget
  | {
      /** The size of the packed file: of the codes, the scales and everything else in it. */
      bytes: number;
    };

/** A number type with a target: int8 codes of steps that are as coarse as the target has them. */
export interface TargetedWeights {
  /** The number type of the codes. */
  type: "int8";
  /** What these weights are to have together. */
  target: RateTarget;
}

/**
 * An exception of a recipe for the tensors whose name `match` matches: a glob (`*` is any text, `?` one character)
 * or a "/regular expression/". They get another type (`weights`) or pruning (`prune`; false for none), or stay as
 * they are (`keep`).
 */
export type Rule =
  | {
      /** The names that the rule is for. */
      match: string;
      /** The number type of these tensors, of any size. */
      weights?: QuantizedType | TargetedWeights;
      /** The pruning of these tensors. */
      prune?: PruneRecipe | false;
    }
  | {
      /** The names that the rule is for. */
      match: string;
      /** Leaves these tensors as they are. */
      keep: true;
    };
