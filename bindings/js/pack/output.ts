/** Runs the steps of packing or unpacking into a sink. */
import { Meter } from "../base/meter.js";
import { Pacer } from "../base/pace.js";
import type { AnyModule, CoreSteps, CoreUnitReports } from "../core/types.js";
import { rangesAheadOf } from "../files/ranges.js";
import type { FileSetSink, OutputFile, Piece } from "../files/sink.js";
import { checkSame, type OpenFile } from "../files/source.js";
import { CheckedSink } from "../files/target.js";
import { runSteps } from "../models/steps.js";
import type { RunOptions } from "../models/types.js";

const noReports: CoreUnitReports = { numbers: {}, texts: [], shared: [] };

/** The output of a run: its files, and what takes them. */
export interface Output {
  files: readonly OutputFile[];
  sink: FileSetSink;
}

/** A run, which is one unit. */
export interface PackRun {
  core: AnyModule;
  steps: CoreSteps;
  /** The files that are read, from the first to the last. */
  inputs: readonly OpenFile[];
  /** Gives the output before its first byte. */
  begin: () => Promise<Output>;
  options: RunOptions;
}

/** Reads, writes, and gives the number of written bytes. An output that fails is dropped. */
export async function runPacking({
  core,
  steps,
  inputs,
  begin,
  options,
}: PackRun): Promise<number> {
  const meter = new Meter(
    options,
    "write",
    inputs.reduce((bytes, { size }) => bytes + size, 0),
  );
  let sink: CheckedSink | undefined;
  const opened = async (): Promise<CheckedSink> => {
    if (sink) return sink;
    const { files, sink: taken } = await begin();
    const order = { unitBytes: [0], numTensors: () => 0, order: "", tensors: [] };
    sink = new CheckedSink(taken, { files, inputs, ...order });
    await sink.open();
    return sink;
  };
  try {
    await runSteps(steps, {
      core,
      pacer: new Pacer(options.signal),
      inputs: [rangesAheadOf(inputs)],
      unit: 0,
      sink: { write: async (piece: Piece) => (await opened()).write(piece) },
      onRead: (size) => {
        meter.advanceTo(meter.done + size);
      },
    });
    const finished = await opened();
    await finished.finish(0, noReports);
    options.signal?.throwIfAborted();
    await checkSame(inputs);
    await finished.close();
    return finished.written;
  } catch (error) {
    await sink?.abort(error);
    throw error;
  }
}
