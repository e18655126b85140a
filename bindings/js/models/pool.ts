/**
 * Workers beside this thread. Each has a core of its own and reads the models' structure again; this thread reads and
 * writes for them, so that every kind of source and sink serves, and no memory is shared.
 */
import { numWorkers, startWorker } from "#threads";
import { errorOf, ModelShrinkError } from "../base/errors.js";
import { version } from "../base/version.js";
import { compiledCore } from "../core/load.js";
import { waitFor } from "../files/stream.js";
import type { Take } from "./found.js";
import type { Host } from "./host.js";
import { warnOfMissingWorkers } from "./missing-workers.js";
import type { FromWorker, Job, Results, ToWorker, WorkerPort } from "./protocol.js";

/** The largest number of workers where the user names none. */
const enoughWorkers = 8;

/** A worker that says nothing for so long after its start is one that does not start. */
const maxStartMilliseconds = 20_000;

/** So is one that has begun to read the models' structure, and says nothing for so long before it is ready. */
const maxReadingMilliseconds = 120_000;

/** Gives units out, and takes what a worker has found. */
interface Boss {
  /** Gives the next unit; undefined when there is none. */
  next(): number | undefined;
  take: Take;
  /** Takes the result of a whole job. */
  end(result: Results[keyof Results]): void;
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

/** The workers of one job. */
export class WorkerPool {
  readonly #host: Host;
  readonly #count: number;
  /** True once the workers are ended, whatever they are doing. */
  #isEnded = false;
  /** Of workers that are not ready, by their ports. */
  readonly #timers = new Map<WorkerPort, ReturnType<typeof setTimeout>>();

  /** `count`: as many as the user asked for; by default what suits the platform, up to 8. */
  constructor(host: Host, count: number = Math.min(numWorkers(), enoughWorkers)) {
    this.#host = host;
    this.#count = count;
  }

  /**
   * Runs the units that `next` gives until it gives none; there are at most `numUnits`. `take` gets what each of them
   * found, in the order in which they end. False: no worker has started, and nothing was done.
   */
  async runUnits(next: () => number | undefined, take: Take, numUnits: number): Promise<boolean> {
    const end = () => undefined;
    return this.#run(Math.min(this.#count, numUnits), { next, take, end });
  }

  /** Does a whole job in one worker. Undefined: none has started, and nothing was done. */
  async runWhole<Kind extends keyof Results>(): Promise<Results[Kind] | undefined> {
    let found: Results[Kind] | undefined;
    const end = (result: Results[keyof Results]) => {
      found = result as Results[Kind];
    };
    const take = () => Promise.resolve();
    await this.#run(Math.min(this.#count, 1), { next: () => undefined, take, end });
    return found;
  }

  async #run(count: number, boss: Boss): Promise<boolean> {
    const ports = startWorkers(count);
    try {
      const all = Promise.all(ports.map((port) => this.#serve(port, boss)));
      const { signal } = this.#host.pacer;
      const served = await waitFor("A worker", { signal, timeoutMs: Infinity }, all);
      return served.includes(true);
    } catch (error) {
      this.#host.pacer.stop(error);
      throw error;
    } finally {
      this.#isEnded = true;
      for (const timer of this.#timers.values()) clearTimeout(timer);
      for (const port of ports) port.terminate();
    }
  }

  /** Keeps one worker busy until there is nothing more for it, and its reads and writes are done. False: it did not start. */
  #serve(port: WorkerPort, boss: Boss): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let hasStarted = false;
      let isOver = false;
      let answered: Promise<unknown> = Promise.resolve();
      const end = () => {
        isOver = true;
        void answered.then(() => {
          resolve(hasStarted);
        });
      };
      const giveUp = (reason: string) => {
        if (isOver || this.#isEnded) return;
        warnOfMissingWorkers(reason);
        end();
      };
      this.#expectWord(port, maxStartMilliseconds, giveUp);
      const fail = (error: unknown) => {
        isOver = true;
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason may be anything
        reject(error);
      };
      const goOn = (message: FromWorker) => {
        if (isOver) return;
        if (message.kind === "result") {
          boss.end(message.result);
          end();
        } else if (isIdle(message) && isOfUnits(this.#host.job)) {
          const unit = boss.next();
          if (unit === undefined) end();
          else port.post({ kind: "unit", unit });
        }
      };
      port.onError((message) => {
        if (!hasStarted) giveUp(message);
        else if (!isOver && !this.#isEnded) {
          fail(new ModelShrinkError(`A worker failed (${message}).`, "internal"));
        }
      });
      port.onMessage((message) => {
        if (isOver) return;
        clearTimeout(this.#timers.get(port));
        hasStarted ||= message.kind === "ready";
        if (message.kind === "stale") {
          giveUp(`${message.url} is of version ${message.version}, not ${version}`);
        } else if (message.kind === "failed" && !hasStarted) {
          giveUp(message.error.message);
        } else {
          const answer = this.#answer(port, message, boss.take).then(() => {
            // A worker that is ready may compute for minutes without a word.
            if (!hasStarted && !isOver) this.#expectWord(port, maxReadingMilliseconds, giveUp);
            goOn(message);
          }, fail);
          answered = Promise.all([answered, answer]);
        }
      });
      port.post(this.#start());
    });
  }

  /** Calls `giveUp` when a worker, from now on, says nothing for so many milliseconds. */
  #expectWord(port: WorkerPort, within: number, giveUp: (reason: string) => void): void {
    clearTimeout(this.#timers.get(port));
    if (this.#isEnded) return;
    this.#timers.set(port, setTimeout(giveUp, within, "it does not answer"));
  }

  #start(): ToWorker {
    const models = this.#host.models.map((files) =>
      files.map(({ name, size }) => ({ name, size })),
    );
    const { job } = this.#host;
    const module = compiledCore(job.kind === "unpack" ? "pack" : "core");
    return { kind: "start", version, module, models, job };
  }

  /** Reads and writes for a worker, and takes the reports of its units. */
  async #answer(port: WorkerPort, message: FromWorker, take: Take): Promise<void> {
    const { inputs, sink, pacer, onWrite, onProgress } = this.#host;
    await pacer.pause();
    switch (message.kind) {
      case "read": {
        const bytes = await inputs[message.input]!(message.range, true);
        port.post({ kind: "bytes", id: message.id, bytes }, [bytes.buffer as ArrayBuffer]);
        return;
      }
      case "write":
        await sink!.write(message);
        if (this.#isEnded) return;
        onWrite?.();
        port.post({ kind: "written" });
        return;
      case "progress":
        onProgress?.(message.bytes, message.tensor);
        return;
      case "finished":
        await take(message.unit, message.reports);
        return;
      case "failed":
        throw errorOf(message.error);
      default:
    }
  }
}

/** True of jobs whose workers are given one unit after the other. */
const isOfUnits = ({ kind }: Job) => kind === "shrink" || kind === "unpack";

/** True of a worker that waits for a unit. */
const isIdle = ({ kind }: FromWorker) => kind === "ready" || kind === "finished";
