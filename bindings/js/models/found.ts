/** What the units of a run found of their tensors. */
import { TableRows, type CoreReportRows } from "../core/table.js";
import type { CoreUnitReports, CoreUnits } from "../core/types.js";

/** Takes what a unit found when its last byte is written. */
export type Take = (unit: number, reports: CoreUnitReports) => Promise<void>;

/** A plan's report, whose columns become those of the run: there may be millions of tensors. */
export class Found {
  readonly #units: CoreUnits;
  readonly #planned: CoreReportRows;
  readonly #numbers: Record<string, Float64Array>;
  readonly #shared: Uint32Array;
  /** The texts that units have added to those of the plan. */
  readonly #texts: string[] = [];

  constructor(units: CoreUnits, planned: CoreReportRows) {
    const { numbers, shared } = planned.tensors.table;
    this.#units = units;
    this.#planned = planned;
    this.#numbers = { ...numbers };
    this.#shared = shared.slice();
  }

  /** Gives the numbers of a unit's tensors. */
  tensorsOf(unit: number): Float64Array {
    const { tensors, tensorEnds } = this.#units;
    return tensors.subarray(tensorEnds[unit - 1] ?? 0, tensorEnds[unit]);
  }

  /** Notes what a unit found; gives the names of its tensors. */
  add(unit: number, { numbers, texts, shared }: CoreUnitReports): string[] {
    const first = this.#planned.tensors.table.textEnds.length + this.#texts.length;
    for (const it of texts) this.#texts.push(it);
    return Array.from(this.tensorsOf(unit), (tensor, row) => {
      this.#shared[tensor] = first + shared[row]!;
      for (const key in numbers) {
        this.#numbers[key] ??= new Float64Array(this.#shared.length);
        this.#numbers[key][tensor] = numbers[key]![row]!;
      }
      return this.#planned.tensors.nameAt(tensor);
    });
  }

  /** Gives the plan's report with what was found. */
  report(): CoreReportRows {
    const { table } = this.#planned.tensors;
    const found = { ...table, numbers: this.#numbers, shared: this.#shared };
    return { ...this.#planned, tensors: new TableRows(found, this.#texts) };
  }
}
