/** Advances the core: it says what it needs next, this does the reading and writing. */
import type { CoreModule, CoreStep, CoreSteps } from "./core.js";
import { ModelShrinkError, OutOfMemoryError } from "./errors.js";
import { copyOut, writeHeap } from "./heap.js";
import { callCore, isAlive, unwrap } from "./load.js";
import type { Pacer } from "./pace.js";
import type { CheckedSink } from "./sink.js";
import type { OpenSource } from "./source.js";

/** Ranges that are copied unchanged pass through in pieces of this size. */
const copyBytes = 1 << 20;

export interface StepHost {
  core: CoreModule;
  pacer: Pacer;
  /** Input 0, 1, … of "read" steps. */
  inputs: readonly OpenSource[];
  sink?: CheckedSink;
  onRead?(input: number, end: number, size: number): void;
  onWrite?(): void;
  onTensor?(tensor: number): void;
}

/** A call into an instance that a trap of someone else's call may have ended meanwhile. */
export function callLive<T>(core: CoreModule, work: (core: CoreModule) => T): T {
  if (!isAlive(core)) {
    throw new OutOfMemoryError(
      "The core was restarted after a failure elsewhere; this run is lost. Start it again.",
    );
  }
  return callCore(core, work);
}

/** A step whose bytes, if any, are out of the heap: they are valid only until the next call. */
type OwnedStep = Exclude<CoreStep, { kind: "write" }> | OwnedWrite;
interface OwnedWrite {
  kind: "write";
  outputOffset: number;
  bytes: Uint8Array;
}

function nextStep(core: CoreModule, steps: CoreSteps): OwnedStep {
  return callLive(core, () => {
    const step = unwrap(steps.next());
    return step.kind === "write" ? { ...step, bytes: copyOut(core, step.bytes) } : step;
  });
}

function feed(core: CoreModule, steps: CoreSteps, bytes: Uint8Array): void {
  callLive(core, () => {
    writeHeap(core, unwrap(steps.input(bytes.length)), bytes);
    unwrap(steps.feed(bytes.length));
  });
}

function inputOf(host: StepHost, input: number): OpenSource {
  const source = host.inputs[input];
  if (!source) throw new ModelShrinkError(`The core asked for input ${input}.`, "internal");
  return source;
}

function sinkOf(host: StepHost): CheckedSink {
  if (!host.sink)
    throw new ModelShrinkError("The core wrote where nothing is written.", "internal");
  return host.sink;
}

async function copyRange(
  host: StepHost,
  { offset, size, outputOffset }: { offset: number; size: number; outputOffset: number },
): Promise<void> {
  const source = inputOf(host, 0);
  for (let done = 0; done < size; done += copyBytes) {
    const bytes = await source.read(offset + done, Math.min(copyBytes, size - done));
    // The sink may keep, change or transfer what it gets; the source's bytes may be the user's own.
    await sinkOf(host).write(outputOffset + done, bytes.slice());
    host.onWrite?.();
    await host.pacer.pause();
  }
}

/** Runs `steps` to its end. */
export async function runSteps(steps: CoreSteps, host: StepHost): Promise<void> {
  for (;;) {
    await host.pacer.pause();
    const step = nextStep(host.core, steps);
    switch (step.kind) {
      case "read": {
        const bytes = await inputOf(host, step.input).read(step.offset, step.size);
        feed(host.core, steps, bytes);
        host.onRead?.(step.input, step.offset + step.size, step.size);
        break;
      }
      case "copy":
        await copyRange(host, step);
        break;
      case "write":
        await sinkOf(host).write(step.outputOffset, step.bytes);
        host.onWrite?.();
        break;
      case "tensor":
        host.onTensor?.(step.tensor);
        break;
      case "done":
        return;
    }
  }
}
