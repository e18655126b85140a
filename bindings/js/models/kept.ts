/** Tensors that a run leaves as they are, because their values go beyond the types that they were to have. */
import type { RemarkedOrder } from "../recipe/order.js";
import { changeSpecs } from "../recipe/specs.js";
import type { PlannedOrder } from "./planned-order.js";

/** Plans the same order, but for these tensors, which keep their types; the remarks say why. */
export function keep(plan: PlannedOrder, chosen: RemarkedOrder, beyond: ReadonlySet<number>): void {
  for (const i of beyond) {
    const { to: type } = plan.report.tensors.at(i)!;
    chosen.reasons[i] = { code: "outOfRange", arguments: { type } };
  }
  plan.change(
    changeSpecs(plan.order, (spec, i) => (beyond.has(i) ? { ...spec, keep: true } : spec)),
  );
}
