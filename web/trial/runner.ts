/** A worker with the two models of one offer. */
import type { Files } from "../open/files.js";
import type { Answer, JobName, Jobs, Pair, Request } from "./protocol.js";

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
  onProgress: (fraction: number) => void;
}

/** Starts its worker when it is first asked for something, and again after it was stopped. */
export class Runner {
  readonly #models: Pair<Files>;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #count = 0;

  constructor(models: Pair<Files>) {
    this.#models = models;
  }

  /** Asks for something. Rejects with the reason in words where it cannot be done; never settles once it was stopped. */
  run<K extends JobName>(
    kind: K,
    given: Jobs[K]["given"],
    onProgress: (fraction: number) => void = () => undefined,
  ): Promise<Jobs[K]["result"]> {
    const id = this.#count++;
    return new Promise<Jobs[K]["result"]>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#worker ??= this.#start();
      this.#worker.postMessage({ kind, id, ...given });
    });
  }

  /** Ends what it was asked for, and frees the memory. */
  stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./worker/worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      this.#receive(data);
    });
    worker.addEventListener("error", ({ message }) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`The worker could not start: ${message || "its script did not load"}`));
      }
      this.stop();
    });
    worker.postMessage({ kind: "models", models: this.#models } satisfies Request);
    return worker;
  }

  #receive(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (answer.kind === "progress") {
      waiting?.onProgress(answer.fraction);
      return;
    }
    this.#waiting.delete(answer.id);
    if (answer.kind === "failed") waiting?.reject(new Error(answer.message));
    else waiting?.resolve(answer.result as never);
  }
}
