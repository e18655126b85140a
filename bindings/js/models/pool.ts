/**
 * Runs units in workers beside this thread. Each has a core of its own and reads the model's structure again;
 * this thread reads and writes for them, so that every kind of source and sink serves, and no memory is shared.
 */
import { startWorker } from "#threads";
import { errorOf, ModelShrinkError } from "../base/errors.js";
import type { Pacer } from "../base/pace.js";
import { compiledCore } from "../core/load.js";
import type { CoreModule, CoreTensorReport } from "../core/types.js";
import type { ReadRange } from "../files/ranges.js";
import { ownBytes, type OpenFile } from "../files/source.js";
import type { CheckedSink } from "../files/target.js";
import type { Order } from "../recipe/order.js";
import type { FromWorker, WorkerPort } from "./protocol.js";

interface Host {
  core: CoreModule;
  pacer: Pacer;
  files: readonly OpenFile[];
  sink: CheckedSink;
  /** Input 1 of the steps. */
  moments: ReadRange;
  onWrite(): void;
}

type Take = (unit: number, report: CoreTensorReport | undefined) => void;

export class WorkerPool {
  readonly #order: Order;
  readonly #host: Host;

  constructor(order: Order, host: Host) {
    this.#order = order;
    this.#host = host;
  }

  /**
   * Takes units from `queue` until it is empty, as `here` does meanwhile. `take` gets what each of them found, in the
   * order in which they end.
   */
  async run(
    queue: number[],
    take: Take,
    workers: number,
    here: () => Promise<void>,
  ): Promise<void> {
    const ports = Array.from({ length: workers }, () => startWorker());
    const ownWork = here();
    try {
      await Promise.all([ownWork, ...ports.map((port) => this.#serve(port, queue, take))]);
    } catch (error) {
      this.#host.pacer.stop(error);
      await ownWork.catch(() => undefined);
      throw error;
    } finally {
      for (const port of ports) port.terminate();
    }
  }

  /** Until the queue is empty and this worker is done. */
  async #serve(port: WorkerPort, queue: number[], take: Take): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      port.onError((cause) => {
        reject(new ModelShrinkError(`A worker failed: ${String(cause)}`, "internal", { cause }));
      });
      port.onMessage((message) => {
        this.#answer(port, message, queue, take).then((isDone) => {
          if (isDone) resolve();
        }, reject);
      });
      port.post({
        kind: "start",
        module: compiledCore(),
        files: this.#host.files.map(({ name, size }) => ({ name, size })),
        order: this.#order,
      });
    });
  }

  /** Whether the worker is done. */
  async #answer(
    port: WorkerPort,
    message: FromWorker,
    queue: number[],
    take: Take,
  ): Promise<boolean> {
    const { files, sink, pacer } = this.#host;
    await pacer.pause();
    switch (message.kind) {
      case "moments": {
        const { id, tensor, size } = message;
        const bytes = await this.#host.moments({ file: tensor, offset: 0, size });
        port.post({ kind: "bytes", id, bytes }, [bytes.buffer as ArrayBuffer]);
        return false;
      }
      case "read": {
        const file = files[message.file]!;
        const bytes = ownBytes(file, await file.read(message.offset, message.length));
        port.post({ kind: "bytes", id: message.id, bytes }, [bytes.buffer as ArrayBuffer]);
        return false;
      }
      case "write":
        await sink.write(message);
        this.#host.onWrite();
        port.post({ kind: "written" });
        return false;
      case "finished":
        await sink.finish(message.unit, message.report);
        take(message.unit, message.report);
        return this.#next(port, queue);
      case "ready":
        return this.#next(port, queue);
      case "failed":
        throw errorOf(message.error);
    }
  }

  #next(port: WorkerPort, queue: number[]): boolean {
    const unit = queue.shift();
    if (unit === undefined) return true;
    port.post({ kind: "unit", unit });
    return false;
  }
}
