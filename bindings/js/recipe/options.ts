/** The options of a recipe. */
import { flag, integer, other, word, type OptionsOf } from "../base/option-table.js";
import type { QuantizedType } from "../arrays/types.js";
import type { CoreRateTarget } from "../core/types.js";
import { checkPruning, type CheckedPruning } from "./pruning.js";
import { checkRules, type CheckedRule } from "./rules.js";
import { checkTarget, checkWeights, type CheckedWeights } from "./targets.js";
import type { PruneRecipe, Rule, SizeTarget, TargetedWeights } from "./types.js";

const maxBlockSize = 2 ** 31;

/** The options of a recipe, a row each; base/option-table.ts says what follows from a row. */
export const recipeOptions = {
  /** The number type of the weights; without it they keep theirs. "int8" may have a target. */
  weights: other<QuantizedType | TargetedWeights, CheckedWeights>(checkWeights),
  /**
   * A size or an error: int8 weights get steps that are as coarse as it takes, by one rule for all tensors, and pack the
   * better for it. Weights are read twice. With neither `weights` nor `rules` they become int8.
   */
  target: other<SizeTarget, CoreRateTarget>(checkTarget),
  /** The weights that become zero; by default none. Embeddings are pruned only by a rule. */
  prune: other<PruneRecipe, CheckedPruning>(checkPruning),
  /**
   * Stores weights that stay floats without their zeros where that is smaller: as `sparse_initializer` of
   * ONNX, which WebGPU builds of onnxruntime refuse, or in safetensors as the legacy "sparse-bitmask" of
   * compressed-tensors, whose reader newer versions lack. Weights are read twice. False by default.
   */
  sparse: flag(false),
  /**
   * Lets later weights of a layer make up for the rounding errors of earlier ones (GPTQ); needs a calibration. False
   * by default.
   */
  gptq: flag(false),
  /** Takes the inputs of large moments first, with `gptq`. False by default. */
  actOrder: flag(false),
  /**
   * The way in which quantized weights are written into an ONNX graph: "storage" (the default) loads everywhere and
   * runs at float speed; "dynamic" computes in integers, fast on WebAssembly; "lowmem" keeps 4 or 8 bits in memory.
   */
  mode: word(["storage", "dynamic", "lowmem"], "storage"),
  /**
   * Keeps embeddings packed in memory, too, with the mode "lowmem" (GatherBlockQuantized), which the build of
   * onnxruntime-web that transformers.js imports cannot load on its WebAssembly side. False by default: embeddings are
   * then int8 in the mode "storage", unless a rule gives them a type.
   */
  packEmbeddings: flag(false),
  /**
   * The weights that share a scale; by default those of an output channel, and blocks for 4 bits and "lowmem". float8 has
   * none with "tensor".
   */
  granularity: word(["tensor", "axis", "block"], undefined),
  /** The number of weights of a row that share a scale, where blocks do; 32 by default. */
  blockSize: integer(1, maxBlockSize, 32),
  /**
   * Puts the zero point in the middle of the code range, so that it need not be stored; by default for signed
   * types, as onnxruntime does.
   */
  symmetric: flag(undefined),
  /**
   * Chooses int8 codes along a trellis, of which a packed file leaves out a bit each: in as many bytes the weights are
   * 1 dB nearer to what they were. Codes do then not make up for each other's errors, as those of a target do, and what
   * compresses the file otherwise than `pack` finds a bit more in each. False by default.
   */
  trellis: flag(false),
  /** Tensors with fewer elements stay as they are unless a rule names them; 1024 by default. */
  minElements: integer(0, 2 ** 53, 1024),
  /** A NaN or an infinity ends the run with an error ("error", the default) or is written as 0 ("zero"). */
  nonFinite: word(["error", "zero"], "error"),
  /**
   * A tensor with values beyond the range of its type stays as it is ("keep", the default; the output is then
   * larger than planned), or they become the type's largest value ("saturate").
   */
  overflow: word(["keep", "saturate"], "keep"),
  /**
   * Leaves out names of nodes and documentation, and shortens names of values, but for inputs, outputs and
   * weights (ONNX). False by default.
   */
  strip: flag(false),
  /** Quantizes weights that are quantized already, too, but those inside an ONNX graph. False by default. */
  requantize: flag(false),
  /** Exceptions by name: the first rule that matches a tensor's name decides. */
  rules: other<readonly Rule[], CheckedRule[]>((_, value) => checkRules(value)),
};

/**
 * The work on a model. Every option may be left out, but one of `weights`, `prune`, `sparse` and `rules` has to be
 * there.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the reference lists an interface's members
export interface Recipe extends OptionsOf<typeof recipeOptions> {}

/** The way in which quantized weights are written into an ONNX graph. */
export type Mode = NonNullable<Recipe["mode"]>;
/** The weights that share a scale: all of the tensor, those of one index of its axis, or runs of a row. */
export type Granularity = NonNullable<Recipe["granularity"]>;
