/** Runs whose tensors may turn out to go beyond the range of the type that they are to have. */
import { someRow, type ReportRows } from "../core/table.js";
import type { Target } from "../files/sink.js";
import { MemorySink, nowhere } from "../files/target.js";
import type { RemarkedOrder } from "../recipe/order.js";
import { hasReason } from "../recipe/reasons.js";
import { isChanged, isIdle } from "./changes.js";
import type { OpenModel } from "./open.js";
import type { PlannedOrder } from "./planned-order.js";
import { runPlan, type OrderOptions } from "./run.js";

/** Ends a run in which tensors, by their numbers, went beyond their types. */
class OutOfRange extends Error {
  readonly tensors: ReadonlySet<number>;

  constructor(tensors: ReadonlySet<number>) {
    super();
    this.tensors = tensors;
  }
}

function refuseOverflows({ tensors }: ReportRows): void {
  const beyond = new Set<number>();
  let i = 0;
  for (const tensor of tensors) {
    if (hasReason(tensor, "overflowed") || hasReason(tensor, "saturated")) beyond.add(i);
    i++;
  }
  if (beyond.size > 0) throw new OutOfRange(beyond);
}

/** The names of types that have a range: floats of fewer bits, and blocks, whose scales are float16. */
const isNarrow = /float(8|16)|Q/;

const mayOverflow = ({ report }: PlannedOrder) =>
  someRow(report.tensors, (it) => isChanged(it) && isNarrow.test(it.to));

/**
 * Runs the plan into the target, or into memory without one. Only the weights tell whether one goes beyond its type's
 * range, which is rare: the run that finds one is dropped, and a second one keeps it. What can be written only once
 * is written after a run that only looks. With `skipIdle` nothing is run, and there is no memory, where the plan
 * changes nothing; where only overflows leave nothing to change, the copy is written.
 */
export async function runInRange(
  opened: OpenModel,
  plan: PlannedOrder,
  chosen: RemarkedOrder,
  target: Target | undefined,
  options: Omit<OrderOptions, "sink"> & { skipIdle: boolean },
): Promise<{ found: ReportRows; memory: MemorySink | undefined }> {
  let isLooking = chosen.keepsOverflows && target?.isRepeatable === false && mayOverflow(plan);
  const check = chosen.keepsOverflows ? { check: refuseOverflows } : {};
  if (options.skipIdle && isIdle(plan.report.tensors, plan.order)) {
    return { found: plan.report, memory: undefined };
  }
  for (;;) {
    const memory = new MemorySink();
    try {
      const run = { ...options, ...check };
      if (isLooking) {
        // One look finds all, because what is kept changes no other tensor.
        isLooking = false;
        await runPlan(opened, plan, { ...run, sink: nowhere, phase: "survey" });
      }
      return {
        found: await runPlan(opened, plan, { ...run, sink: target?.sink() ?? memory }),
        memory,
      };
    } catch (error) {
      if (!(error instanceof OutOfRange)) throw error;
      const { keep } = await import("./kept.js");
      keep(plan, chosen, error.tensors);
    }
  }
}
