/** Runs a plan: every unit of the layout, from the model's files into a sink. */
import type { CoreReport, CoreTensorReport, CoreTensorSpec, CoreWriteOptions } from "./core.js";
import { unwrap } from "./load.js";
import { Meter } from "./meter.js";
import { release, type OpenModel, type RunOptions } from "./open-model.js";
import { CheckedSink, type FileSetSink, type RunIdentity } from "./sink.js";
import { readAhead } from "./sources/read-ahead.js";
import { callLive, runSteps } from "./steps.js";
import { WorkerPool } from "./worker-pool.js";

/** What the core is asked to write. */
export interface Order {
  specs: CoreTensorSpec[];
  options: CoreWriteOptions;
}

export interface OrderOptions extends RunOptions {
  sink: FileSetSink;
  /** Threads besides this one; below 2 this one does the work. */
  workers: number;
}

/** Less than this is done before a worker has started. */
const minWorkerBytes = 1 << 22;

/** `planned`: what the core says of this order. Gives its report with what the run found. */
export async function runOrder(
  opened: OpenModel,
  order: Order,
  planned: CoreReport,
  options: OrderOptions,
): Promise<CoreReport> {
  const { core, model, files, pacer } = opened;
  const identity: RunIdentity = {
    files: planned.files,
    inputs: files,
    order: JSON.stringify([planned.tensors, order]),
  };
  const sink = new CheckedSink(options.sink, identity);
  const meter = new Meter(options, "write", planned.outputBytes);
  const run = callLive(core, () => unwrap(model.shrink(order.specs, order.options)));
  const reports = [...planned.tensors];
  try {
    const finished = await sink.open();
    const units = callLive(core, () => run.units());
    const take = (unit: number, report: CoreTensorReport | undefined) => {
      const tensor = units[unit]?.tensor;
      if (tensor !== undefined && report) reports[tensor] = report;
      meter.advanceTo(sink.written, report?.name);
    };
    for (const [unit, report] of finished) {
      sink.skip(units[unit]?.outputBytes ?? 0);
      take(unit, report);
    }
    const left = [...units.keys()].filter((unit) => !finished.has(unit));
    const onWrite = () => {
      meter.advanceTo(sink.written);
    };
    const host = { core, pacer, files, sink, onWrite };
    if (options.workers > 1 && planned.outputBytes >= minWorkerBytes) {
      const pool = new WorkerPool(order, host);
      await pool.run(left, take, options.workers);
    } else {
      const inputs = [files.map(readAhead)];
      for (const unit of left) {
        callLive(core, () => unwrap(run.start(unit)));
        await runSteps(run, { ...host, inputs, unit });
        const tensor = units[unit]?.tensor;
        const report =
          tensor === undefined ? undefined : callLive(core, () => unwrap(run.tensorReport(tensor)));
        await sink.finish(unit, report);
        take(unit, report);
      }
    }
    options.signal?.throwIfAborted();
    await sink.close();
    return { ...planned, tensors: reports };
  } catch (error) {
    await sink.abort(error);
    throw error;
  } finally {
    release(core, run);
  }
}
