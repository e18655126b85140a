/**
 * Runs units in workers beside this thread. Each has a core of its own and reads the model's structure again;
 * this thread reads and writes for them, so that every kind of source and sink serves, and no memory is shared.
 */
import { startWorker } from "#threads";
import { errorOf, ModelShrinkError } from "../base/errors.js";
import type { Pacer } from "../base/pace.js";
import { version } from "../base/version.js";
import { compiledCore } from "../core/load.js";
import type { CoreModule } from "../core/types.js";
import type { ReadRange } from "../files/ranges.js";
import { ownBytes, type OpenFile } from "../files/source.js";
import type { CheckedSink } from "../files/target.js";
import type { Order } from "../recipe/specs.js";
import { warnOfMissingWorkers } from "./missing-workers.js";
import type { Take } from "./found.js";
import type { FromWorker, ToWorker, WorkerPort } from "./protocol.js";

interface Host {
  core: CoreModule;
  pacer: Pacer;
  files: readonly OpenFile[];
  sink: CheckedSink;
  /** The reader of input 1 of the steps, a layer's moments. */
  moments: ReadRange;
  onWrite(): void;
}

/** Starts up to `count` workers; none where the host refuses. */
function startWorkers(count: number): WorkerPort[] {
  const ports: WorkerPort[] = [];
  try {
    while (ports.length < count) ports.push(startWorker());
  } catch (error) {
    warnOfMissingWorkers(error instanceof Error ? error.message : String(error));
  }
  return ports;
}

export class WorkerPool {
  readonly #order: Order;
  readonly #host: Host;
  /** True once the workers are ended, whatever they are doing. */
  #isEnded = false;

  constructor(order: Order, host: Host) {
    this.#order = order;
    this.#host = host;
  }

  /**
   * Runs the units that `next` gives until it gives none, as `here` does meanwhile. `take` gets what each of them
   * found, in the order in which they end. A worker that does not start leaves its units to the others and to
   * `here`.
   */
  async run(
    next: () => number | undefined,
    take: Take,
    workers: number,
    here: () => Promise<void>,
  ): Promise<void> {
    const ports = startWorkers(workers);
    const ownWork = here();
    try {
      const served = ports.map((port) => this.#serve(port, next, take, ownWork));
      await Promise.all([ownWork, ...served]);
    } catch (error) {
      this.#host.pacer.stop(error);
      await ownWork.catch(() => undefined);
      throw error;
    } finally {
      this.#isEnded = true;
      for (const port of ports) port.terminate();
    }
  }

  /**
   * Keeps one worker busy until there is no next unit and its last one is done. A worker that has no unit when
   * `ownWork` ends is not waited for: it may still be loading, or never answer.
   */
  async #serve(
    port: WorkerPort,
    next: () => number | undefined,
    take: Take,
    ownWork: Promise<void>,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let hasStarted = false;
      let hasUnit = false;
      let isOver = false;
      let answered: Promise<unknown> = Promise.resolve();
      const end = () => {
        isOver = true;
        // The worker's reads and writes are done before the run is.
        void answered.then(() => {
          resolve();
        });
      };
      const nextUnit = () => {
        const unit = next();
        hasUnit = unit !== undefined;
        if (unit === undefined) end();
        else port.post({ kind: "unit", unit });
      };
      port.onError((message) => {
        if (isOver || this.#isEnded) return;
        if (hasStarted) {
          reject(new ModelShrinkError(`A worker failed (${message}).`, "internal"));
          return;
        }
        warnOfMissingWorkers(message);
        end();
      });
      port.onMessage((message) => {
        if (isOver) return;
        hasStarted = true;
        if (message.kind === "stale") {
          warnOfMissingWorkers(`${message.url} is of version ${message.version}, not ${version}`);
          end();
          return;
        }
        const isIdle = message.kind === "ready" || message.kind === "finished";
        const answer = this.#answer(port, message, take).then(() => {
          if (isIdle && !isOver) nextUnit();
        }, reject);
        answered = Promise.all([answered, answer]);
      });
      ownWork.then(
        () => {
          if (!hasUnit) end();
        },
        () => undefined,
      );
      port.post(this.#start());
    });
  }

  #start(): ToWorker {
    const files = this.#host.files.map(({ name, size }) => ({ name, size }));
    return { kind: "start", version, module: compiledCore(), files, order: this.#order };
  }

  /** Reads and writes for a worker, and takes the reports of its units. */
  async #answer(port: WorkerPort, message: FromWorker, take: Take): Promise<void> {
    const { files, sink, pacer } = this.#host;
    await pacer.pause();
    switch (message.kind) {
      case "moments": {
        const { id, tensor, size } = message;
        const bytes = await this.#host.moments({ file: tensor, offset: 0, size });
        port.post({ kind: "bytes", id, bytes }, [bytes.buffer as ArrayBuffer]);
        return;
      }
      case "read": {
        const file = files[message.file]!;
        const bytes = ownBytes(file, await file.read(message.offset, message.length));
        port.post({ kind: "bytes", id: message.id, bytes }, [bytes.buffer as ArrayBuffer]);
        return;
      }
      case "write":
        await sink.write(message);
        this.#host.onWrite();
        port.post({ kind: "written" });
        return;
      case "finished":
        await take(message.unit, message.reports);
        return;
      case "ready":
      case "stale":
        return;
      case "failed":
        throw errorOf(message.error);
    }
  }
}
