/** Writes smaller models, under a guard where one is given. */
import { checkKeys } from "./base/options.js";
import { attend } from "./files/open.js";
import type { Source } from "./files/source.js";
import { checkRecipe } from "./recipe/check.js";
import type { LayoutOptions, LayoutResult } from "./layout/types.js";
import type { Recipe } from "./recipe/options.js";
import { writeKeys } from "./models/options.js";
import type { WriteOptions, WriteResult } from "./models/types.js";
import { shrinkModel } from "./models/write.js";
import type { Guard, GuardOutcome } from "./runtime/guard.js";
import { withLayout } from "./with-layout.js";

/** The options of {@link shrink}. */
export interface ShrinkOptions extends WriteOptions {
  /**
   * Runs the result in onnxruntime and shrinks less until it is good enough: 8 bits where the recipe says 4, then
   * tensors as they were. Without it nothing is run.
   */
  guard?: Guard;
}

/** The result of {@link shrink}. */
export interface ShrinkResult extends WriteResult {
  /** The guard's findings and the tensors that it gave up; only with the option `guard`. */
  guard?: GuardOutcome;
}

/** The result of {@link shrink} under a guard. */
export interface GuardedResult extends ShrinkResult {
  /** The guard's findings and the tensors that it gave up. */
  guard: GuardOutcome;
}

/**
 * Writes a smaller model of the same format under a guard.
 *
 * @param source - The model; see {@link Source}.
 * @param recipe - A preset's name or a recipe; "int8" by default.
 * @param options - With `guard`, which decides which tensors stay as they were.
 * @throws The same errors as without a guard, and those of `verify`.
 */
export function shrink(
  source: Source,
  recipe: string | Recipe | undefined,
  options: ShrinkOptions & { guard: Guard },
): Promise<GuardedResult>;
/**
 * Writes a folder for a runtime of models: every model of a repository in every number type that is asked for, and what
 * lies beside them.
 *
 * @param source - The repository: a folder's path (Node.js) or handle, the address of one on a hub
 *   (`https://huggingface.co/<owner>/<name>`), or a record of sources by their paths.
 * @param recipe - Words of a recipe that hold for all models, such as rules; the dtypes decide weights and mode.
 * @param options - With `layout`.
 * @throws The same errors as for one model.
 */
export function shrink(
  source: Source,
  recipe: Recipe | undefined,
  options: LayoutOptions,
): Promise<LayoutResult>;
/**
 * Writes a smaller model of the same format. Memory does not grow with the model, but for an output that is kept in
 * memory because no `sink` is given.
 *
 * @param source - The model; see {@link Source}.
 * @param recipe - A preset's name or a recipe; "int8" by default.
 * @param options - Sink, progress, abort, workers, calibration.
 * @returns The output, when it was not sent to a sink, and a report of every tensor.
 * @throws {@link FormatError} when a file breaks a rule of its format; {@link UnsupportedError} for what cannot be
 *   handled; {@link ArgumentError} for a wrong option, or a NaN or an infinity in a weight;
 *   {@link OutOfMemoryError}; {@link IntegrityError} when written bytes differ from the plan; a
 *   {@link ModelShrinkError} of code "io" when reading or writing fails; the signal's reason when it is aborted. In
 *   all cases no output becomes visible.
 */
export function shrink(
  source: Source,
  recipe?: string | Recipe,
  options?: ShrinkOptions,
): Promise<ShrinkResult>;
export async function shrink(
  source: Source,
  recipe?: string | Recipe,
  options: ShrinkOptions | LayoutOptions = {},
): Promise<ShrinkResult | LayoutResult> {
  return withLayout<ShrinkResult | LayoutResult>(
    options,
    () => shrinkAny(source, recipe, options as ShrinkOptions),
    (layouts) => layouts.shrinkRepository(source, recipe, options as LayoutOptions),
  );
}

async function shrinkAny(
  source: Source,
  recipe: string | Recipe = "int8",
  options: ShrinkOptions,
): Promise<ShrinkResult> {
  attend(source);
  const checked = await checkRecipe(recipe);
  checkKeys("options", options, [...writeKeys, "guard"]);
  const { guard, ...rest } = options;
  if (guard === undefined) return shrinkModel(source, checked, rest);
  // Only who asks for a guard downloads it.
  const { shrinkGuarded } = await import("./runtime/guard.js");
  return shrinkGuarded(source, checked, guard, rest);
}
