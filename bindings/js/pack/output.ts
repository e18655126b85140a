/** Runs the steps of packing or unpacking into a sink. */
import { Pacer } from "../base/pace.js";
import type { AnyModule, CoreSteps } from "../core/types.js";
import type { ReadRange } from "../files/ranges.js";
import type { FileSetSink, OutputFile, Piece } from "../files/sink.js";
import { checkSame, type OpenFile } from "../files/source.js";
import { CheckedSink } from "../files/target.js";
import { noReports, runSteps } from "../models/steps.js";
import type { RunOptions } from "../models/types.js";

/** The output of a run: its files, and what takes them. */
export interface Output {
  files: readonly OutputFile[];
  sink: FileSetSink;
}

/** A run, which is one unit. */
export interface PackRun {
  core: AnyModule;
  steps: CoreSteps;
  /** The files that are read; none where the bytes come from front to end. */
  inputs: readonly OpenFile[];
  read: ReadRange;
  /** Gives the output before its first byte. */
  begin: () => Promise<Output>;
  /** Is told of each read, by its size in bytes, and of all bytes that are written. */
  onRead?: (size: number) => void;
  onWrite?: (written: number) => void;
  /** Looks at the input's end before the output becomes visible. */
  checkEnd?: () => Promise<void>;
  /** The name of the file that the core's errors are about, if there is one. */
  about?: string;
  signal: RunOptions["signal"];
}

/** Reads, writes, and gives the number of written bytes. An output that fails is dropped. */
export async function runPacking(run: PackRun): Promise<number> {
  const { core, steps, inputs, signal } = run;
  let sink: CheckedSink | undefined;
  const opened = async (): Promise<CheckedSink> => {
    if (sink) return sink;
    const { files, sink: taken } = await run.begin();
    const order = { unitBytes: [0], numTensors: () => 0, order: "", tensors: [] };
    sink = new CheckedSink(taken, { files, inputs, ...order });
    await sink.open();
    return sink;
  };
  try {
    await runSteps(steps, {
      core,
      pacer: new Pacer(signal),
      inputs: [run.read],
      about: run.about,
      unit: 0,
      sink: { write: async (piece: Piece) => (await opened()).write(piece) },
      onRead: (size) => run.onRead?.(size),
      onWrite: () => run.onWrite?.(sink!.written),
    });
    const finished = await opened();
    await finished.finish(0, noReports);
    await run.checkEnd?.();
    signal?.throwIfAborted();
    await checkSame(inputs);
    await finished.close();
    return finished.written;
  } catch (error) {
    await sink?.abort(error);
    throw error;
  }
}
