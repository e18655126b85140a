/** Runs a plan: every unit of the layout, from the model's files into a sink. */
import { Meter } from "../base/meter.js";
import type { ReportRows } from "../core/table.js";
import type { CoreTable, CoreUnits, CoreUnitReports } from "../core/types.js";
import { rangesAheadOf, rangesOf, type ReadRange } from "../files/ranges.js";
import type { FileSetSink, FinishedUnits, RunIdentity } from "../files/sink.js";
import { checkSame } from "../files/source.js";
import { CheckedSink } from "../files/target.js";
import { digestOf, type Calibration } from "../recipe/calibration.js";
import { Found, type Take } from "./found.js";
import type { Host } from "./host.js";
import type { OpenModel } from "./open.js";
import type { PlannedOrder } from "./planned-order.js";
import { callLive, runUnit, release } from "./steps.js";
import type { RunOptions } from "./types.js";
import { poolFor } from "./workers.js";

export interface OrderOptions extends RunOptions {
  /** The reader of a layer's moments, for calibrated pruning. */
  calibration: Calibration | undefined;
  sink: FileSetSink;
  /** The number of workers; 0: this thread does the work; undefined: as many as serve. */
  workers: number | undefined;
  /** The name of the phase for progress; "write" by default. */
  phase?: "survey" | "write";
  /** Looks at what the run found before the output becomes visible; what it throws ends the run. */
  check?: (report: ReportRows) => void;
}

const columnsOf = ({ numbers, ...others }: CoreTable) => [
  ...Object.values(others),
  ...Object.values(numbers),
];

const identityOf = (
  { files }: OpenModel,
  { order, report }: PlannedOrder,
  units: CoreUnits,
  found: Found,
  { calibration }: OrderOptions,
): RunIdentity => ({
  files: report.files,
  inputs: files,
  unitBytes: units.outputBytes,
  numTensors: (unit) => found.tensorsOf(unit).length,
  order: JSON.stringify([order.specs, order.options, digestOf(calibration)]),
  tensors: [order.which, ...columnsOf(report.tensors.table)],
});

/** Gives the reader of input 1 of a run; who has no calibration does not download it. */
const momentsReader =
  (calibration: Calibration | undefined, { info }: OpenModel): ReadRange =>
  async (range) =>
    (await import("../recipe/moments.js")).momentsOf(calibration, info.tensors, range);

/** Gives a function that gives the units that are to run, one after the other. */
function nextOf(
  sink: CheckedSink,
  { outputBytes }: CoreUnits,
  finished: FinishedUnits,
): () => number | undefined {
  let following = 0;
  return () => {
    const wanted = sink.wanted();
    if (wanted !== undefined) return wanted;
    while (finished.has(following)) following++;
    return following < outputBytes.length ? following++ : undefined;
  };
}

/** Gives a function that notes what a unit found, and tells of its tensors. */
const teller =
  (meter: Meter, sink: CheckedSink, found: Found) =>
  (unit: number, reports: CoreUnitReports): void => {
    const names = found.add(unit, reports);
    if (names.length === 0) meter.advanceTo(sink.written);
    for (const name of names) meter.advanceTo(sink.written, name);
  };

/** Gives the plan's report with what the run found. */
export async function runPlan(
  opened: OpenModel,
  plan: PlannedOrder,
  options: OrderOptions,
): Promise<ReportRows> {
  const { core, files, pacer } = opened;
  const { order, report: planned } = plan;
  const meter = new Meter(options, options.phase ?? "write", planned.outputBytes);
  const run = plan.shrink();
  const units = callLive(core, () => run.units());
  const found = new Found(units, planned);
  const sink = new CheckedSink(options.sink, identityOf(opened, plan, units, found, options));
  try {
    const finished = await sink.open();
    const tell = teller(meter, sink, found);
    const take: Take = async (unit, reports) => {
      await sink.finish(unit, reports);
      if (!sink.isAborted) tell(unit, reports);
    };
    for (const [unit, reports] of finished) {
      sink.skip(units.outputBytes[unit] ?? 0);
      tell(unit, reports);
    }
    const next = nextOf(sink, units, finished);
    const onWrite = () => {
      meter.advanceTo(sink.written);
    };
    const moments = momentsReader(options.calibration, opened);
    const inputs = [rangesOf(files), moments];
    const job = { kind: "shrink", order } as const;
    const host: Host = { pacer, models: [files], inputs, job, sink, onWrite };
    const here = async () => {
      const own = { core, pacer, sink, onWrite, inputs: [rangesAheadOf(files), moments] };
      for (let unit = next(); unit !== undefined; unit = next()) {
        await take(unit, await runUnit(run, { ...own, unit }));
      }
    };
    const extent = { bytes: planned.outputBytes, tensors: planned.tensors.length };
    const pool = await poolFor(host, options.workers, extent);
    const numLeft = units.outputBytes.length - finished.size;
    const isDone = (await pool?.runUnits(next, take, numLeft)) ?? false;
    if (!isDone) await here();
    options.signal?.throwIfAborted();
    await checkSame(files);
    const report = found.report();
    options.check?.(report);
    await sink.close();
    return report;
  } catch (error) {
    await sink.abort(error);
    throw error;
  } finally {
    release(core, run);
  }
}
