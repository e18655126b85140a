/** The other end of a WorkerPool: reads the models' structure, then runs the units that it is given, or a whole job. */
import { poolPort } from "#port";
import { version } from "./base/version.js";
import { ModelShrinkError } from "./base/errors.js";
import { Pacer } from "./base/pace.js";
import { loadCompiled, unwrap } from "./core/load.js";
import { packCore } from "./core/packs.js";
import { wholeCore } from "./core/whole.js";
import type { CoreModule, CoreUnitReports } from "./core/types.js";
import { rangesAheadOf, withinRange, type ReadRange } from "./files/ranges.js";
import type { Piece } from "./files/sink.js";
import type { OpenFile } from "./files/source.js";
import { beginJob, finishJob } from "./models/jobs.js";
import { readStructure, type OpenModel } from "./models/open.js";
import type { FileName, PlainError, ToWorker, WholeJob } from "./models/protocol.js";
import { callLive, noReports, runSteps, runUnit } from "./models/steps.js";
import type { Order } from "./recipe/specs.js";

const port = poolPort();

type Command = Extract<ToWorker, { kind: "start" | "unit" }>;

/** Who waits for what: one command, one write, any number of reads. */
let commanded: (message: Command) => void = () => undefined;
let written: () => void = () => undefined;
const reads = new Map<number, (bytes: Uint8Array) => void>();
let numReads = 0;

port.onMessage((message) => {
  if (message.kind === "written") {
    written();
  } else if (message.kind === "bytes") {
    reads.get(message.id)?.(message.bytes);
    reads.delete(message.id);
  } else {
    commanded(message);
  }
});

const nextCommand = () =>
  new Promise<Command>((resolve) => {
    commanded = resolve;
  });

/** Gives the reader of an input of the job's steps. */
const remote =
  (input: number): ReadRange =>
  (range) => {
    const id = numReads++;
    port.post({ kind: "read", id, input, range });
    return new Promise((resolve) => reads.set(id, resolve));
  };

/** Gives the files of a model, which is input number `input`. */
function filesOf(names: readonly FileName[], input: number): OpenFile[] {
  const read = remote(input);
  return names.map(({ name, size }, file) => ({
    name,
    size,
    inMemory: false,
    isSerial: false,
    read: (offset, length) =>
      length === 0 ? Promise.resolve(new Uint8Array(0)) : read({ file, offset, size: length }),
    close: () => Promise.resolve(),
  }));
}

/** Reads the structure of a model again. */
function openAgain(core: CoreModule, files: readonly OpenFile[]): Promise<OpenModel> {
  const source = {
    main: files[0]!,
    open: (name: string) => Promise.resolve(files.slice(1).find((file) => file.name === name)),
    close: () => Promise.resolve(),
  };
  return readStructure(core, source, {});
}

/** Runs the units that this worker is given, one after the other, without an end. */
async function runUnits(
  { core, model, pacer }: OpenModel,
  { specs, which, options }: Order,
  inputs: readonly ReadRange[],
): Promise<never> {
  const run = callLive(core, () => {
    const plan = unwrap(model.plan(specs, which, options));
    const shrink = unwrap(plan.shrink());
    plan.delete();
    return shrink;
  });
  return serve((unit, sink) => runUnit(run, { core, pacer, inputs, sink, unit }));
}

/** Does what a unit is, and gives what it found. */
type DoUnit = (unit: number, sink: UnitSink) => Promise<CoreUnitReports>;
interface UnitSink {
  write(piece: Piece): Promise<void>;
}

/** Does the units that this worker is given, one after the other, without an end. */
async function serve(doUnit: DoUnit): Promise<never> {
  let lastWrite = Promise.resolve();
  const sink = {
    async write(piece: Piece) {
      await lastWrite;
      lastWrite = new Promise((resolve) => {
        written = resolve;
      });
      port.post({ kind: "write", ...piece }, [piece.bytes.buffer as ArrayBuffer]);
    },
  };
  let next = nextCommand();
  port.post({ kind: "ready" });
  for (;;) {
    const command = await next;
    if (command.kind !== "unit") throw new ModelShrinkError(`got ${command.kind}`, "internal");
    const { unit } = command;
    const reports = await doUnit(unit, sink);
    await lastWrite;
    next = nextCommand();
    port.post({ kind: "finished", unit, reports });
  }
}

/** Does a job from its start to its result. */
async function runWhole(
  models: readonly OpenModel[],
  job: WholeJob,
  inputs: readonly ReadRange[],
): Promise<void> {
  const { core, pacer } = models[0]!;
  const coreModels = models.map(({ model }) => model);
  const begun = beginJob(core, coreModels, job);
  port.post({ kind: "ready" });
  const result = await finishJob(begun, { core, pacer, inputs }, (bytes, tensor) => {
    port.post({ kind: "progress", bytes, ...(tensor === undefined ? {} : { tensor }) });
  });
  port.post({ kind: "result", result });
}

/** Unpacks the groups that this worker is given. */
async function unpackGroups(
  module: WebAssembly.Module,
  { name, size }: FileName,
  sha256: boolean,
): Promise<never> {
  const core = await loadCompiled(packCore, module);
  const pacer = new Pacer();
  const read = remote(0);
  const steps = callLive(core, () => unwrap(core.createUnpack(size, sha256, true)));
  const about = name;
  await runSteps(steps, { core, pacer, inputs: [read], about });
  const groups = callLive(core, () => steps.groups());
  return serve(async (unit, sink) => {
    callLive(core, () => unwrap(steps.startGroup(unit)));
    const inputs = [withinRange(read, groups[3 * unit]!, groups[3 * unit + 1]!)];
    await runSteps(steps, { core, pacer, inputs, about, sink, unit });
    return noReports;
  });
}

async function work({ module, models, job }: Extract<ToWorker, { kind: "start" }>): Promise<void> {
  if (job.kind === "unpack") return unpackGroups(module, models[0]![0]!, job.sha256);
  const core = await loadCompiled(wholeCore, module);
  const files = models.map(filesOf);
  const opened: OpenModel[] = [];
  for (const it of files) opened.push(await openAgain(core, it));
  const inputs = files.map(rangesAheadOf);
  if (job.kind !== "shrink") return runWhole(opened, job, inputs);
  // Input 1 of a shrink are the moments of a layer's inputs.
  return runUnits(opened[0]!, job.order, [inputs[0]!, remote(1)]);
}

function plain(error: unknown): PlainError {
  if (error instanceof ModelShrinkError) {
    const { message, code, tensor, offset } = error;
    return { message, code, tensor, offset };
  }
  return { message: String(error), code: "internal", tensor: undefined, offset: undefined };
}

// No top-level await: bundlers may make this a classic script.
void nextCommand().then((message) => {
  if (message.kind !== "start") return;
  // Copies of this file outlive updates of the package where nothing but people copies it.
  if (message.version !== version) {
    port.post({ kind: "stale", url: import.meta.url, version });
    return;
  }
  work(message).catch((error: unknown) => {
    port.post({ kind: "failed", error: plain(error) });
  });
});
