/** Plans: the sizes of an output, from headers alone. */
import { checkBoolean } from "../base/options.js";
import { attend, type FileSetSource } from "../files/open.js";
import type { Source } from "../files/source.js";
import { checkCalibration } from "../recipe/calibration.js";
import { checkRecipe } from "../recipe/check.js";
import { orderFor } from "../recipe/order.js";
import type { Recipe } from "../recipe/options.js";
import { defaultGrowth } from "./growth.js";
import { checkRunOptions, planKeys } from "./options.js";
import { withModel } from "./open.js";
import { withPlan } from "./planned-order.js";
import { toReport } from "./report.js";
import type { Plan, SurveyOptions } from "./types.js";

/** Plans one model; see `plan`. Its main output file is called `mainName` where that is given. */
export async function planModel(
  source: Source | FileSetSource,
  recipe: string | Recipe,
  options: SurveyOptions,
  mainName?: string,
): Promise<Plan> {
  checkRunOptions(options, [...planKeys, "survey", "workers"]);
  const { maxGrowth = defaultGrowth, workers } = options;
  const surveys = checkBoolean("survey", options.survey ?? false);
  const calibration = checkCalibration(options.calibration);
  attend(source);
  const checked = await checkRecipe(recipe);
  return withModel(source, options, (opened) => {
    const chosen = orderFor(checked, opened.info.tensors, calibration ?? "assumed");
    if (chosen.sparse.length > 0) {
      chosen.asksForSparse = false;
      chosen.warnings.push(
        "Sparse tensors are planned as they are now: only shrink looks at how many zeros they have.",
      );
    }
    return withPlan(opened, chosen.order, maxGrowth, async (planned) => {
      if (surveys) {
        const { findRates } = await import("./surveys.js");
        const { targets } = chosen;
        const { order, rate } = await findRates(opened, chosen.order, targets, {
          ...options,
          workers,
        });
        planned.change(order);
        chosen.rate = rate;
      }
      if (mainName !== undefined) planned.rename(mainName);
      return toReport(opened, planned.report, chosen);
    });
  });
}
