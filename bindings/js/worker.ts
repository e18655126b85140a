/** The other end of a WorkerPool: reads the model's structure, then runs the units that it is given. */
import { poolPort } from "#port";
import { version } from "./base/version.js";
import { ModelShrinkError } from "./base/errors.js";
import { loadCompiled, unwrap } from "./core/load.js";
import { wholeCore } from "./core/whole.js";
import type { CoreRange } from "./core/types.js";
import { rangesAheadOf } from "./files/ranges.js";
import type { Piece } from "./files/sink.js";
import type { OpenFile } from "./files/source.js";
import { readStructure } from "./models/open.js";
import type { FileName, PlainError, ToWorker } from "./models/protocol.js";
import { callLive, runSteps } from "./models/steps.js";

const port = poolPort();

type Order = Extract<ToWorker, { kind: "start" | "unit" }>;

/** Who waits for what: one order, one write, any number of reads. */
let ordered: (message: Order) => void = () => undefined;
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
    ordered(message);
  }
});

const nextOrder = () =>
  new Promise<Order>((resolve) => {
    ordered = resolve;
  });

const proxyOf = ({ name, size }: FileName, file: number): OpenFile => ({
  name,
  size,
  inMemory: false,
  isSerial: false,
  read(offset, length) {
    if (length === 0) return Promise.resolve(new Uint8Array(0));
    const id = numReads++;
    port.post({ kind: "read", id, file, offset, length });
    return new Promise((resolve) => reads.set(id, resolve));
  },
  close: () => Promise.resolve(),
});

function moments({ file, size }: CoreRange): Promise<Uint8Array> {
  const id = numReads++;
  port.post({ kind: "moments", id, tensor: file, size });
  return new Promise((resolve) => reads.set(id, resolve));
}

async function work({ module, files, order }: Extract<ToWorker, { kind: "start" }>): Promise<void> {
  const core = await loadCompiled(wholeCore, module);
  const proxies = files.map(proxyOf);
  const source = {
    main: proxies[0]!,
    open: (name: string) => Promise.resolve(proxies.slice(1).find((file) => file.name === name)),
    close: () => Promise.resolve(),
  };
  const { model, pacer } = await readStructure(core, source, {});
  const run = callLive(core, () => {
    const plan = unwrap(model.plan(order.specs, order.which, order.options));
    const shrink = unwrap(plan.shrink());
    plan.delete();
    return shrink;
  });
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
  const inputs = [rangesAheadOf(proxies), moments];
  let next = nextOrder();
  port.post({ kind: "ready" });
  for (;;) {
    const order = await next;
    if (order.kind !== "unit") throw new ModelShrinkError(`got ${order.kind}`, "internal");
    const { unit } = order;
    callLive(core, () => unwrap(run.start(unit)));
    await runSteps(run, { core, pacer, inputs, sink, unit });
    const reports = callLive(core, () => unwrap(run.reports(unit)));
    await lastWrite;
    next = nextOrder();
    port.post({ kind: "finished", unit, reports });
  }
}

function plain(error: unknown): PlainError {
  if (error instanceof ModelShrinkError) {
    const { message, code, tensor, offset } = error;
    return { message, code, tensor, offset };
  }
  return { message: String(error), code: "internal", tensor: undefined, offset: undefined };
}

// No top-level await: bundlers may make this a classic script.
void nextOrder().then((message) => {
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
