/** Advances the core, which says what it needs next, and does the reading and writing for it. */
import { aboutFile, ModelShrinkError, OutOfMemoryError } from "../base/errors.js";
import type { Pacer } from "../base/pace.js";
import { copyOut, writeHeap } from "../core/heap.js";
import { callCore, isAlive, unwrap } from "../core/load.js";
import type {
  AnyModule,
  CoreModel,
  CoreModule,
  CoreRange,
  CoreResult,
  CoreShrink,
  CoreStep,
  CoreSteps,
  CoreUnitReports,
} from "../core/types.js";
import { rangesOf, type ReadRange } from "../files/ranges.js";
import type { FileSetSink, Piece } from "../files/sink.js";
import type { OpenFile, OpenFileSet } from "../files/source.js";

/** The size of the pieces, in bytes, in which unchanged ranges are copied. */
const copyBytes = 1 << 20;

/** Calls an instance of the core that a trap in another call may have ended meanwhile. */
export function callLive<T, C extends AnyModule>(core: C, work: (core: C) => T): T {
  if (!isAlive(core)) {
    throw new OutOfMemoryError(
      "The core was restarted after a failure elsewhere; this run is lost. Start it again.",
    );
  }
  return callCore(core, work);
}

/** Frees an object of the core; objects of an instance that has trapped are gone with it. */
export function release(core: AnyModule, object: { delete(): void } | undefined): void {
  try {
    if (object)
      callLive(core, () => {
        object.delete();
      });
  } catch {
    // Nothing to free.
  }
}

/** A step whose bytes, if it has some, are copied out of the heap, where the next call may overwrite them. */
type OwnedStep = Exclude<CoreStep, { kind: "write" }> | OwnedWrite;
interface OwnedWrite {
  kind: "write";
  outputFile: number;
  outputOffset: number;
  bytes: Uint8Array;
}

/** Calls the core; its errors name the file that they are about. */
function ask<T>({ core, about }: StepHost, work: () => T): T {
  try {
    return callLive(core, work);
  } catch (error) {
    throw about === undefined ? error : aboutFile(about, error);
  }
}

function nextStep(host: StepHost, steps: CoreSteps): OwnedStep {
  const { core, sink } = host;
  return ask(host, () => {
    const step = unwrap(steps.next());
    if (step.kind !== "write") return step;
    return { ...step, bytes: copyOut(core, step.bytes, sink?.spare?.(step.bytes.size)) };
  });
}

interface Fed {
  input(size: number): CoreResult<{ ptr: number; size: number }>;
  feed(size: number): CoreResult<unknown>;
}

function feed(core: AnyModule, steps: Fed, bytes: Uint8Array): CoreResult<unknown> {
  writeHeap(core, unwrap(steps.input(bytes.length)), bytes);
  return steps.feed(bytes.length);
}

/** Reads a model's structure; gives its files in the core's order. */
export async function readModel(
  model: CoreModel,
  source: OpenFileSet,
  host: { core: CoreModule; pacer: Pacer; onRead: (range: CoreRange) => void },
): Promise<OpenFile[]> {
  const { core, pacer } = host;
  const files = [source.main];
  const read = rangesOf(files);
  let current = source.main;
  const ask = <T>(work: () => CoreResult<T>): T => {
    try {
      return callLive(core, () => unwrap(work()));
    } catch (error) {
      throw aboutFile(current.name, error);
    }
  };
  for (;;) {
    await pacer.pause();
    const request = ask(() => model.next());
    if (request.kind === "done") return files;
    if (request.kind === "open") {
      const file = await source.open(request.name);
      if (file) files.push(file);
      ask(() => model.opened(file ? file.size : -1));
      continue;
    }
    current = files[request.file] ?? current;
    const bytes = await read(request);
    ask(() => feed(core, model, bytes));
    host.onRead(request);
  }
}

export interface StepHost {
  core: AnyModule;
  pacer: Pacer;
  /** The readers of inputs 0, 1 and so on. */
  inputs: readonly ReadRange[];
  /** The name of the file that all errors are about; undefined where they name tensors or other files themselves. */
  about?: string | undefined;
  sink?: Pick<FileSetSink, "spare"> & { write(piece: Piece): Promise<void> };
  /** The number of the running unit, for a shrink. */
  unit?: number;
  onRead?(size: number): void;
  onWrite?(): void;
  onTensor?(tensor: number): void;
}

function read(host: StepHost, input: number, range: CoreRange, isOwn = false): Promise<Uint8Array> {
  const readRange = host.inputs[input];
  if (!readRange) throw new ModelShrinkError(`The core asked for input ${input}.`, "internal");
  return readRange(range, isOwn);
}

async function write(
  host: StepHost,
  place: { outputFile: number; outputOffset: number },
  bytes: Uint8Array,
): Promise<void> {
  const { sink, unit } = host;
  if (!sink || unit === undefined) {
    throw new ModelShrinkError("The core wrote where nothing is written.", "internal");
  }
  await sink.write({ unit, file: place.outputFile, offset: place.outputOffset, bytes });
  host.onWrite?.();
}

async function copyRange(host: StepHost, step: Extract<CoreStep, { kind: "copy" }>): Promise<void> {
  for (let done = 0; done < step.size; done += copyBytes) {
    const size = Math.min(copyBytes, step.size - done);
    const range = { file: step.file, offset: step.offset + done, size };
    const bytes = await read(host, 0, range, true);
    await write(host, { ...step, outputOffset: step.outputOffset + done }, bytes);
    await host.pacer.pause();
  }
}

/** Runs steps until the core says that it is done. */
export async function runSteps(steps: CoreSteps, host: StepHost): Promise<void> {
  for (;;) {
    await host.pacer.pause();
    const step = nextStep(host, steps);
    switch (step.kind) {
      case "read": {
        const bytes = await read(host, step.input, step);
        ask(host, () => unwrap(feed(host.core, steps, bytes)));
        host.onRead?.(step.size);
        break;
      }
      case "copy":
        await copyRange(host, step);
        break;
      case "write":
        await write(host, step, step.bytes);
        break;
      case "tensor":
        host.onTensor?.(step.tensor);
        break;
      case "done":
        return;
    }
  }
}

/** Of a unit without tensors. */
export const noReports: CoreUnitReports = { numbers: {}, texts: [], shared: [] };

/** Runs a unit of a shrink, and gives what it found. */
export async function runUnit(
  run: CoreShrink,
  host: StepHost & { unit: number },
): Promise<CoreUnitReports> {
  callLive(host.core, () => unwrap(run.start(host.unit)));
  await runSteps(run, host);
  return callLive(host.core, () => unwrap(run.reports(host.unit)));
}
