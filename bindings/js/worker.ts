/** The other end of a WorkerPool: reads the model's structure, then runs the units that it is given. */
import { poolPort } from "#platform";
import { ModelShrinkError } from "./errors.js";
import { init, loadCore, unwrap } from "./load.js";
import { readStructure } from "./open-model.js";
import type { OpenFile } from "./source.js";
import { callLive, runSteps } from "./steps.js";
import type { FileName, PlainError, ToWorker } from "./worker-protocol.js";

const port = poolPort();

/** One question is open at a time. */
let answered: (message: ToWorker) => void = () => undefined;
port.onMessage((message) => {
  answered(message);
});

const nextMessage = () =>
  new Promise<ToWorker>((resolve) => {
    answered = resolve;
  });

const proxyOf = ({ name, size }: FileName, file: number): OpenFile => ({
  name,
  size,
  keepsBytes: false,
  async read(offset, length) {
    if (length === 0) return new Uint8Array(0);
    const answer = nextMessage();
    port.post({ kind: "read", file, offset, length });
    const message = await answer;
    return message.kind === "bytes" ? message.bytes : new Uint8Array(0);
  },
  close: () => Promise.resolve(),
});

async function work({ module, files, order }: Extract<ToWorker, { kind: "start" }>): Promise<void> {
  await init({ wasm: module });
  const core = await loadCore();
  const proxies = files.map(proxyOf);
  const source = {
    main: proxies[0]!,
    open: (name: string) => Promise.resolve(proxies.slice(1).find((file) => file.name === name)),
    close: () => Promise.resolve(),
  };
  const { model, pacer } = await readStructure(core, source, {});
  const run = callLive(core, () => unwrap(model.shrink(order.specs, order.options)));
  const units = callLive(core, () => run.units());
  const sink = {
    async write(piece: { unit: number; file: number; offset: number; bytes: Uint8Array }) {
      const answer = nextMessage();
      port.post({ kind: "write", ...piece }, [piece.bytes.buffer as ArrayBuffer]);
      await answer;
    },
  };
  let message = nextMessage();
  port.post({ kind: "ready" });
  for (;;) {
    const order = await message;
    if (order.kind !== "unit") throw new ModelShrinkError(`got ${order.kind}`, "internal");
    const { unit } = order;
    callLive(core, () => unwrap(run.start(unit)));
    await runSteps(run, { core, pacer, inputs: [proxies], sink, unit });
    const tensor = units[unit]?.tensor;
    const report =
      tensor === undefined ? undefined : callLive(core, () => unwrap(run.tensorReport(tensor)));
    message = nextMessage();
    port.post({ kind: "finished", unit, report });
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
void nextMessage().then((message) => {
  if (message.kind !== "start") return;
  work(message).catch((error: unknown) => {
    port.post({ kind: "failed", error: plain(error) });
  });
});
