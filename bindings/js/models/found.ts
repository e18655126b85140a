/** What the units of a run found of their tensors. */
import { rowsOf, TableRows, type ReportRows } from "../core/table.js";
import type { CoreTable, CoreTensorReport, CoreUnits } from "../core/types.js";
import type { UnitReports } from "../files/sink.js";

/** Takes what a unit found when it has written its last byte. */
export type Take = (unit: number, reports: CoreTable) => Promise<void>;

/** The fewest rows that are kept as a table, which costs as much as several rows. */
const minTableRows = 16;

/** Gives a unit's reports as they are to be kept. */
export function unitReports(table: CoreTable): UnitReports {
  const rows = new TableRows<CoreTensorReport>(table);
  return rows.length < minTableRows ? [...rows] : rows;
}

/** The reports of units that have run, by tensor: as few objects as there are units. */
export class Found {
  readonly #units: CoreUnits;
  readonly #reports = new Map<number, UnitReports>();
  /** The unit of each tensor and its row there, for tensors that a unit has reported on. */
  readonly #unitOf: Int32Array;
  readonly #rowOf: Uint32Array;

  constructor(units: CoreUnits, numTensors: number) {
    this.#units = units;
    this.#unitOf = new Int32Array(numTensors).fill(-1);
    this.#rowOf = new Uint32Array(numTensors);
  }

  /** Gives the numbers of a unit's tensors. */
  tensorsOf(unit: number): Float64Array {
    const { tensors, tensorEnds } = this.#units;
    return tensors.subarray(tensorEnds[unit - 1] ?? 0, tensorEnds[unit]);
  }

  add(unit: number, reports: UnitReports): void {
    this.#reports.set(unit, reports);
    this.tensorsOf(unit).forEach((tensor, row) => {
      this.#unitOf[tensor] = unit;
      this.#rowOf[tensor] = row;
    });
  }

  /** Gives a plan's report with what was found. */
  reportOf(planned: ReportRows): ReportRows {
    const { tensors } = planned;
    const at = (tensor: number) =>
      this.#reports.get(this.#unitOf[tensor]!)?.at(this.#rowOf[tensor]!) ?? tensors.at(tensor)!;
    return { ...planned, tensors: rowsOf(tensors.length, at) };
  }
}
