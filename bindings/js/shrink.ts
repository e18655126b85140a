/** Writes smaller models, under a guard where one is given. */
import { checkKeys, checkObject } from "./base/options.js";
import type { Source } from "./files/source.js";
import { checkRecipe } from "./recipe/check.js";
import { presetNamed } from "./recipe/presets.js";
import type { Recipe } from "./recipe/options.js";
import { writeKeys } from "./models/inspect.js";
import type { WriteOptions, WriteResult } from "./models/types.js";
import { shrinkModel } from "./models/write.js";
import { shrinkGuarded, type Guard, type GuardOutcome } from "./runtime/guard.js";

export interface ShrinkOptions extends WriteOptions {
  /**
   * Runs the result in onnxruntime, and leaves tensors as they were, those of the largest errors first,
   * until it is good enough.
   */
  guard?: Guard;
}

export interface ShrinkResult extends WriteResult {
  /** With option `guard`: what it found and gave up. */
  guard?: GuardOutcome;
}

/** Writes a smaller model of the same format. */
export function shrink(
  source: Source,
  recipe: string | Recipe | undefined,
  options: ShrinkOptions & { guard: Guard },
): Promise<ShrinkResult & { guard: GuardOutcome }>;
export function shrink(
  source: Source,
  recipe?: string | Recipe,
  options?: ShrinkOptions,
): Promise<ShrinkResult>;
export async function shrink(
  source: Source,
  recipe: string | Recipe = "int8",
  options: ShrinkOptions = {},
): Promise<ShrinkResult> {
  const checked = checkRecipe(recipe);
  checkKeys("options", checkObject("options", options), [...writeKeys, "guard"]);
  const { guard, ...rest } = options;
  if (guard === undefined) return shrinkModel(source, checked, rest);
  const given = typeof recipe === "string" ? presetNamed(recipe).recipe : recipe;
  return shrinkGuarded(source, given, guard, rest);
}
