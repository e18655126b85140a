/** Says what `shrink` would do, from headers alone. */
import type { Source } from "./files/source.js";
import type { LayoutPlan, LayoutPlanOptions } from "./layout/types.js";
import { planModel } from "./models/plan.js";
import type { Plan, SurveyOptions } from "./models/types.js";
import type { Recipe } from "./recipe/options.js";
import { withLayout } from "./with-layout.js";

/**
 * Says what `shrink` would write for a runtime of a repository of models: every file, and its exact size.
 *
 * @param source - The repository, as `shrink` takes it; of one on a hub only headers are fetched.
 * @param recipe - Words of a recipe that hold for all models.
 * @param options - With `layout`.
 * @throws The same errors as for one model, and those of `shrink` for a repository that cannot be written.
 */
export function plan(
  source: Source,
  recipe: Recipe | undefined,
  options: LayoutPlanOptions,
): Promise<LayoutPlan>;
/**
 * Says what `shrink` would do, and the exact size of its output, without reading any weight. Recipes that need a
 * calibration are planned without one as if every layer's inputs were known. Of a recipe with a target the size is the
 * most that it may be: with `survey` weights are read once, and it is exact again.
 *
 * @param source - The model; of one at a URL only the headers are fetched where the server has ranges.
 * @param recipe - A preset's name or a recipe; "int8" by default.
 * @throws The errors of `inspect`; {@link ArgumentError} for a wrong recipe.
 */
export function plan(
  source: Source,
  recipe?: string | Recipe,
  options?: SurveyOptions,
): Promise<Plan>;
export async function plan(
  source: Source,
  recipe?: string | Recipe,
  options: SurveyOptions | LayoutPlanOptions = {},
): Promise<Plan | LayoutPlan> {
  return withLayout<Plan | LayoutPlan>(
    options,
    () => planModel(source, recipe ?? "int8", options),
    (layouts) => layouts.planRepository(source, recipe, options as LayoutPlanOptions),
  );
}
