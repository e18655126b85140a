/** Jobs that a worker does for the page, each with one answer in the end. */

/** What a worker can be asked for by name: what it is given, and what it gives. */
export type JobTable = Record<string, { given: object; result: unknown }>;

/** How far a job is: a part of 1, and what is being done, where the worker says. */
export interface JobProgress {
  fraction?: number;
  words?: string;
}

export type JobRequest<Jobs extends JobTable> = {
  [K in keyof Jobs]: { kind: K; id: number } & Jobs[K]["given"];
}[keyof Jobs];

export type JobAnswer<Jobs extends JobTable> =
  | ({ kind: "progress"; id: number } & JobProgress)
  | { kind: "done"; id: number; result: Jobs[keyof Jobs]["result"] }
  | { kind: "failed"; id: number; message: string };

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
  onProgress: (progress: JobProgress) => void;
}

/** Starts its worker when it is first asked for something, and again after it was stopped. */
export class WorkerJobs<Jobs extends JobTable> {
  readonly #begin: () => Worker;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #count = 0;

  constructor(begin: () => Worker) {
    this.#begin = begin;
  }

  /** Asks for something. Rejects with the reason in words where it cannot be done; never settles once it was stopped. */
  ask<K extends keyof Jobs>(
    kind: K,
    given: Jobs[K]["given"],
    onProgress: (progress: JobProgress) => void = () => undefined,
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
    const worker = this.#begin();
    worker.addEventListener("message", ({ data }: MessageEvent<JobAnswer<Jobs>>) => {
      this.#receive(data);
    });
    worker.addEventListener("error", ({ message }) => {
      const why = message || "its script did not load";
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`The worker could not start: ${why}`));
      }
      this.stop();
    });
    return worker;
  }

  #receive(answer: JobAnswer<Jobs>): void {
    const waiting = this.#waiting.get(answer.id);
    if (answer.kind === "progress") {
      waiting?.onProgress(answer);
      return;
    }
    this.#waiting.delete(answer.id);
    if (answer.kind === "failed") waiting?.reject(new Error(answer.message));
    else waiting?.resolve(answer.result as never);
  }
}

/** A worker's end: does what the page asks for, and tells it what went wrong. */
export function answerJobs<Jobs extends JobTable>(
  work: (
    job: JobRequest<Jobs>,
    onProgress: (progress: JobProgress) => void,
  ) => Promise<Jobs[keyof Jobs]["result"]>,
): (request: JobRequest<Jobs>) => void {
  const answer = (message: JobAnswer<Jobs>): void => {
    postMessage(message);
  };
  return (request) => {
    const { id } = request;
    work(request, (progress) => {
      answer({ kind: "progress", id, ...progress });
    }).then(
      (result) => {
        answer({ kind: "done", id, result });
      },
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        answer({ kind: "failed", id, message });
      },
    );
  };
}
