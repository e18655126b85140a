/** What would be written, from headers alone. */
import { unwrap } from "../core/load.js";
import type { CoreTensorInfo } from "../core/types.js";
import type { Source } from "../files/source.js";
import { checkCalibration } from "../recipe/calibration.js";
import { checkRecipe } from "../recipe/check.js";
import { type RemarkedOrder, orderFor, type Order } from "../recipe/order.js";
import type { Recipe } from "../recipe/options.js";
import { checkRunOptions, runKeys } from "./inspect.js";
import { type OpenModel, withModel } from "./open.js";
import { toReport } from "./report.js";
import { callLive } from "./steps.js";
import type { Plan, WriteOptions, RunOptions } from "./types.js";

/** What makes an order of the tensors that a model has. */
export type Chooser = (tensors: readonly CoreTensorInfo[]) => RemarkedOrder;

export function planOf({ core, model }: OpenModel, choose: Chooser) {
  return callLive(core, () => {
    const { tensors } = unwrap(model.info());
    const { order, survey, sparse, ...remarks } = choose(tensors);
    return {
      order,
      survey,
      sparse,
      remarks,
      planned: unwrap(model.plan(order.specs, order.options)),
    };
  });
}

/** The same with another name for the main output file, which may change what files say of each other. */
export function renamed({ core, model }: OpenModel, { specs, options }: Order, mainName: string) {
  const order = { specs, options: { ...options, mainName } };
  return callLive(core, () => ({
    order,
    planned: unwrap(model.plan(order.specs, order.options)),
  }));
}

/**
 * What `shrink` would do, and the exact size of its output, without reading any weight. Recipes that need a
 * calibration are planned without one as if every layer's inputs were known.
 */
export async function plan(
  source: Source,
  recipe: string | Recipe = "int8",
  options: RunOptions & Pick<WriteOptions, "calibration"> = {},
): Promise<Plan> {
  checkRunOptions(options, [...runKeys, "calibration"]);
  const calibration = checkCalibration(options.calibration);
  const checked = checkRecipe(recipe);
  return withModel(source, options, (opened) => {
    const { planned, remarks, sparse } = planOf(opened, (tensors) =>
      orderFor(checked, tensors, calibration ?? "assumed"),
    );
    if (sparse.length > 0) {
      remarks.asksForSparse = false;
      remarks.warnings.push(
        "Sparse tensors are planned as they are now: only shrink looks at how many zeros they have.",
      );
    }
    return Promise.resolve(toReport(opened, planned, remarks));
  });
}
