/** Unpacks the groups of a packed file that can be read at any place, in several workers. */
import { Pacer } from "../base/pace.js";
import { unwrap } from "../core/load.js";
import type { CoreFile, CoreUnpack, PackModule } from "../core/types.js";
import { rangesOf } from "../files/ranges.js";
import { checkSame, type OpenFile } from "../files/source.js";
import { CheckedSink } from "../files/target.js";
import type { Host } from "../models/host.js";
import { callLive, noReports, release, runSteps } from "../models/steps.js";
import type { RunOptions } from "../models/types.js";
import type { WorkerPool } from "../models/pool.js";
import { poolFor } from "../models/workers.js";
import type { Output } from "./output.js";

export interface GroupsRun {
  core: PackModule;
  input: OpenFile;
  sha256: boolean;
  workers: number | undefined;
  signal: RunOptions["signal"];
  /** Gives the output before its first byte. */
  begin: (files: CoreFile[]) => Promise<Output>;
  onRead: (size: number) => void;
  onWrite: (written: number) => void;
}

/** What is read once of a packed file: its index, by the core that keeps it. */
interface Opened {
  steps: CoreUnpack;
  pool: WorkerPool;
  host: Host;
  groupBytes: readonly number[];
}

/** Reads the index, and finds workers; undefined where this thread is to do the work from front to end. */
async function open(run: GroupsRun, sink: () => CheckedSink): Promise<Opened | undefined> {
  const { core, input, sha256, workers, signal } = run;
  const read = rangesOf([input]);
  const pacer = new Pacer(signal);
  const steps = callLive(core, () => unwrap(core.createUnpack(input.size, sha256, true)));
  try {
    await runSteps(steps, { core, pacer, inputs: [read], about: input.name });
    const groupBytes = callLive(core, () => steps.groups()).filter((_, i) => i % 3 === 2);
    const host: Host = {
      pacer,
      models: [[input]],
      inputs: [
        async (range, isOwn) => {
          const bytes = await read(range, isOwn);
          run.onRead(range.size);
          return bytes;
        },
      ],
      job: { kind: "unpack", sha256 },
      get sink() {
        return sink();
      },
      onWrite: () => {
        run.onWrite(sink().written);
      },
    };
    const bytes = groupBytes.reduce((sum, it) => sum + it, 0);
    const isOne = groupBytes.length < 2;
    const pool = isOne ? undefined : await poolFor(host, workers, { bytes, tensors: 0 });
    if (pool) return { steps, pool, host, groupBytes };
  } catch (error) {
    release(core, steps);
    throw error;
  }
  release(core, steps);
  return undefined;
}

/** Gives the number of written bytes; undefined where nothing was done. An output that fails is dropped. */
export async function unpackGroups(run: GroupsRun): Promise<number | undefined> {
  const { core, input, signal } = run;
  let sink: CheckedSink | undefined;
  const opened = await open(run, () => sink!);
  if (!opened) return undefined;
  const { steps, pool, host, groupBytes } = opened;
  try {
    const { files, sink: taken } = await run.begin(callLive(core, () => steps.files()));
    const order = { unitBytes: groupBytes, numTensors: () => 0, order: "", tensors: [] };
    sink = new CheckedSink(taken, { files, inputs: [input], ...order });
    await sink.open();
    let following = 0;
    const next = () => sink!.wanted() ?? (following < groupBytes.length ? following++ : undefined);
    const take = (unit: number) => sink!.finish(unit, noReports);
    const isDone = await pool.runUnits(next, take, groupBytes.length);
    if (!isDone) {
      const about = input.name;
      for (let unit = next(); unit !== undefined; unit = next()) {
        callLive(core, () => unwrap(steps.startGroup(unit)));
        await runSteps(steps, { core, ...host, about, sink, unit });
        await take(unit);
      }
    }
    signal?.throwIfAborted();
    await checkSame([input]);
    await sink.close();
    return sink.written;
  } catch (error) {
    await sink?.abort(error);
    throw error;
  } finally {
    release(core, steps);
  }
}
