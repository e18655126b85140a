/** An order, and what the core plans for it. */
import { unwrap } from "../core/load.js";
import { reportRows, type CoreReportRows } from "../core/table.js";
import type { CorePlan, CoreShrink } from "../core/types.js";
import type { Order } from "../recipe/specs.js";
import { checkGrowth } from "./growth.js";
import type { OpenModel } from "./open.js";
import { callLive, release } from "./steps.js";

/**
 * Where each byte of the output goes is found out once, when the order is given, and again only when it changes.
 * Lives in the core: to be released.
 */
export class PlannedOrder {
  readonly #opened: OpenModel;
  readonly #maxGrowth: number;
  #order: Order;
  #plan: CorePlan;
  #report: CoreReportRows | undefined;

  /**
   * Throws what the core has against the order, and an UnsupportedError for an output of more than `maxGrowth` bytes
   * for each of the input.
   */
  constructor(opened: OpenModel, order: Order, maxGrowth: number) {
    this.#opened = opened;
    this.#maxGrowth = maxGrowth;
    this.#order = order;
    ({ plan: this.#plan, report: this.#report } = this.#planFor(order));
  }

  get order(): Order {
    return this.#order;
  }

  /** Gives the plan, without statistics. */
  get report(): CoreReportRows {
    this.#report ??= reportRows(callLive(this.#opened.core, () => this.#plan.report()));
    return this.#report;
  }

  /** Plans another order for the same model. */
  change(order: Order): void {
    const { plan, report } = this.#planFor(order);
    this.release();
    this.#plan = plan;
    this.#order = order;
    this.#report = report;
  }

  /** Gives the main output file this name; where there are several files, they name each other. */
  rename(mainName: string): void {
    callLive(this.#opened.core, () => unwrap(this.#plan.rename(mainName)));
    this.#order = { ...this.#order, options: { ...this.#order.options, mainName } };
    this.#report = undefined;
  }

  /** Makes the run that writes the output. The caller releases it. */
  shrink(): CoreShrink {
    return callLive(this.#opened.core, () => unwrap(this.#plan.shrink()));
  }

  release(): void {
    release(this.#opened.core, this.#plan);
  }

  #planFor({ specs, which, options }: Order): { plan: CorePlan; report: CoreReportRows } {
    const { core, model, files } = this.#opened;
    const plan = callLive(core, () => unwrap(model.plan(specs, which, options)));
    try {
      const report = reportRows(callLive(core, () => plan.report()));
      checkGrowth(files, report.outputBytes, this.#maxGrowth);
      return { plan, report };
    } catch (error) {
      release(core, plan);
      throw error;
    }
  }
}

/** Plans the order, whose output may have `maxGrowth` bytes for each of the input, for as long as `work` takes. */
export async function withPlan<T>(
  opened: OpenModel,
  order: Order,
  maxGrowth: number,
  work: (plan: PlannedOrder) => Promise<T>,
): Promise<T> {
  const plan = new PlannedOrder(opened, order, maxGrowth);
  try {
    return await work(plan);
  } finally {
    plan.release();
  }
}
