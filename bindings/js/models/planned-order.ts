/** An order, and what the core plans for it. */
import { unwrap } from "../core/load.js";
import { reportRows, type CoreReportRows } from "../core/table.js";
import type { CorePlan, CoreShrink, CoreSurvey } from "../core/types.js";
import type { Order } from "../recipe/specs.js";
import { release, type OpenModel } from "./open.js";
import { callLive } from "./steps.js";

/**
 * Where each byte of the output goes is found out once, when the order is given, and again only when it changes.
 * Lives in the core: to be released.
 */
export class PlannedOrder {
  readonly #opened: OpenModel;
  #order: Order;
  #plan: CorePlan;
  #report: CoreReportRows | undefined;

  /** Throws what the core has against the order. */
  constructor(opened: OpenModel, order: Order) {
    this.#opened = opened;
    this.#order = order;
    this.#plan = this.#planFor(order);
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
    const plan = this.#planFor(order);
    this.release();
    this.#plan = plan;
    this.#order = order;
    this.#report = undefined;
  }

  /** Gives the main output file this name; where there are several files, they name each other. */
  rename(mainName: string): void {
    callLive(this.#opened.core, () => unwrap(this.#plan.rename(mainName)));
    this.#order = { ...this.#order, options: { ...this.#order.options, mainName } };
    this.#report = undefined;
  }

  /** A look at the channels of which some are to go. The caller releases it. */
  surveyChannels(): CoreSurvey {
    return callLive(this.#opened.core, () => unwrap(this.#plan.surveyChannels()));
  }

  /** Makes the run that writes the output. The caller releases it. */
  shrink(): CoreShrink {
    return callLive(this.#opened.core, () => unwrap(this.#plan.shrink()));
  }

  release(): void {
    release(this.#opened.core, this.#plan);
  }

  #planFor({ specs, which, options }: Order): CorePlan {
    const { core, model } = this.#opened;
    return callLive(core, () => unwrap(model.plan(specs, which, options)));
  }
}

/** Plans the order for as long as `work` takes. */
export async function withPlan<T>(
  opened: OpenModel,
  order: Order,
  work: (plan: PlannedOrder) => Promise<T>,
): Promise<T> {
  const plan = new PlannedOrder(opened, order);
  try {
    return await work(plan);
  } finally {
    plan.release();
  }
}
