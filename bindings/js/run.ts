/** Runs a plan: every unit of the layout, from the model's files into a sink. */
import type { CoreReport, CoreTensorSpec, CoreWriteOptions } from "./core.js";
import { unwrap } from "./load.js";
import { Meter } from "./meter.js";
import { release, type OpenModel, type RunOptions } from "./open-model.js";
import { CheckedSink, type FileSetSink } from "./sink.js";
import { callLive, runSteps } from "./steps.js";

/** What the core is asked to write. */
export interface Order {
  specs: CoreTensorSpec[];
  options: CoreWriteOptions;
}

/** `planned`: what the core says of this order. Gives the core's report. */
export async function runOrder(
  opened: OpenModel,
  order: Order,
  planned: CoreReport,
  sink: FileSetSink,
  options: RunOptions,
): Promise<CoreReport> {
  const { core, model, files, pacer } = opened;
  const checked = new CheckedSink(sink, planned.files);
  const meter = new Meter(options, "write", planned.outputBytes);
  const run = callLive(core, () => unwrap(model.shrink(order.specs, order.options)));
  try {
    await checked.open();
    for (const unit of callLive(core, () => run.units()).keys()) {
      callLive(core, () => unwrap(run.start(unit)));
      await runSteps(run, {
        core,
        pacer,
        inputs: [files],
        sink: checked,
        onWrite: () => {
          meter.advanceTo(checked.written);
        },
        onTensor: (tensor) => {
          meter.advanceTo(checked.written, planned.tensors[tensor]?.name);
        },
      });
    }
    options.signal?.throwIfAborted();
    await checked.close();
    return callLive(core, () => run.report());
  } catch (error) {
    await checked.abort(error);
    throw error;
  } finally {
    release(core, run);
  }
}
