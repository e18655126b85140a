/** Parts of recipes as users write them. */
import type { QuantizedType } from "../arrays/types.js";

interface Fit {
  /**
   * With a calibration: fits the survivors anew by least squares; false by default, but true for
   * "structured".
   */
  refit?: boolean;
  /** With a calibration: added to the diagonal of XᵀX, as a fraction of its mean; 0.01. */
  damping?: number;
}

interface Fraction {
  /** Which fraction goes, 0 to 1. */
  sparsity: number;
}

interface Pattern {
  /** Of each `m` inputs of an output `n` stay. */
  n: number;
  m: number;
}

/** The smallest |w|. */
interface MagnitudeRecipe extends Fraction, Fit {
  method: "magnitude";
  /**
   * How tensors share the sparsity: "uniform" (the default): each has it; "erk": small ones lose less, by
   * their dimensions; "global": one threshold for all; "lamp": layer-adaptive magnitudes. The last two read
   * the weights before, and leave out tensors with rules of their own.
   */
  allocation?: "uniform" | "erk" | "global" | "lamp";
}

interface RandomRecipe extends Fraction, Fit {
  method: "random";
  /** 0 by default. */
  seed?: number;
}

interface PatternRecipe extends Pattern, Fit {
  method: "n:m";
}

/**
 * With a calibration: "wanda" (|w|·‖x‖ within each output), "sparsegpt" and "obc" (the surviving weights make
 * up for the pruned ones).
 */
type CalibratedRecipe = { method: "wanda" | "sparsegpt" | "obc" } & (Fraction | Pattern) & Fit;

/**
 * Whole channels and neurons of the smallest norm leave an ONNX graph, which becomes smaller and faster
 * everywhere; layers that are added to each other lose the same ones.
 */
interface StructuredRecipe extends Fraction, Fit {
  method: "structured";
  /** p of the Lp norm of a channel's weights, above 0; Infinity: the largest; 2 by default. */
  norm?: number;
  /**
   * As many channels stay as a multiple of this, rounded up, because runtimes compute several at a time; 8 by
   * default, 1 for exactly the sparsity.
   */
  multipleOf?: number;
}

export type PruneRecipe =
  MagnitudeRecipe | RandomRecipe | PatternRecipe | CalibratedRecipe | StructuredRecipe;

/** Which tensors: a glob (`*` is any text, `?` one character) or a "/regular expression/". */
export type Rule =
  | { match: string; weights?: QuantizedType; prune?: PruneRecipe | false }
  | {
      match: string;
      /** Leave these tensors as they are. */
      keep: true;
    };
