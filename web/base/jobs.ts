/** Jobs that a worker does for the page: each tells news on the way, and has one end. */

/** What a worker can be asked for by name: what it is given, what it tells on the way, and what it gives. */
export type JobTable = Record<string, { ask: unknown; news: unknown; result: unknown }>;

/** The rejection of a job that was cancelled, or whose worker was stopped. */
export class Cancelled extends Error {}

export interface Task<T> {
  /** Rejects with {@link Cancelled}, or with the reason in words where the job cannot be done or its worker broke. */
  result: Promise<T>;
  cancel: () => void;
  /** Lets go of what the job has left. */
  release: () => void;
}

type Request =
  | { kind: "start"; id: number; job: PropertyKey; ask: unknown }
  | { kind: "cancel"; id: number }
  | { kind: "release"; id: number };

type Answer =
  | { kind: "news"; id: number; news: unknown }
  | { kind: "done"; id: number; result: unknown }
  | { kind: "failed"; id: number; message: string }
  | { kind: "cancelled"; id: number };

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
  onNews: (news: never) => void;
}

/** Starts its worker when it is first asked for something, and anew after it was stopped or broke. */
export class WorkerJobs<Jobs extends JobTable> {
  readonly #begin: () => Worker;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(begin: () => Worker) {
    this.#begin = begin;
  }

  start<K extends keyof Jobs>(
    job: K,
    ask: Jobs[K]["ask"],
    onNews: (news: Jobs[K]["news"]) => void = () => undefined,
  ): Task<Jobs[K]["result"]> {
    const id = ++this.#lastId;
    const result = new Promise<Jobs[K]["result"]>((resolve, reject) => {
      this.#worker ??= this.#launch();
      // It throws where something cannot be sent; nothing waits then.
      this.#send({ kind: "start", id, job, ask });
      this.#waiting.set(id, { resolve, reject, onNews });
    });
    const tell = (kind: "cancel" | "release") => () => {
      this.#send({ kind, id });
    };
    return { result, cancel: tell("cancel"), release: tell("release") };
  }

  #send(request: Request): void {
    this.#worker?.postMessage(request);
  }

  /** Cancels all jobs at once, and frees the worker's memory. */
  stop(): void {
    this.#end(new Cancelled());
  }

  #end(error: Error): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(error);
  }

  #launch(): Worker {
    const worker = this.#begin();
    // Whatever breaks a worker, no job of it has another end.
    const onBreak = (message: string) => {
      if (worker === this.#worker) this.#end(new Error(message));
    };
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      if (worker === this.#worker) this.#receive(data);
    });
    worker.addEventListener("error", ({ message }) => {
      onBreak(`The worker broke: ${message || "its script did not load"}.`);
    });
    worker.addEventListener("messageerror", () => {
      onBreak("The worker gave an answer that cannot be read.");
    });
    return worker;
  }

  #receive(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (answer.kind === "news") {
      waiting?.onNews(answer.news as never);
      return;
    }
    this.#waiting.delete(answer.id);
    if (answer.kind === "done") waiting?.resolve(answer.result as never);
    else waiting?.reject(answer.kind === "failed" ? new Error(answer.message) : new Cancelled());
  }
}

/** What a job has to do with beside what it is given. */
export interface JobContext<News> {
  signal: AbortSignal;
  tell: (news: News) => void;
  /** Has `remove` called when nobody needs what the job leaves: it failed, or the page has let go of it. */
  leave: (remove: () => Promise<void>) => void;
}

export type JobWork<Jobs extends JobTable> = {
  [K in keyof Jobs]: (
    ask: Jobs[K]["ask"],
    context: JobContext<Jobs[K]["news"]>,
  ) => Promise<Jobs[K]["result"]>;
};

/** A worker's end: does what the page asks for, and tells it what went wrong. */
export function serveJobs<Jobs extends JobTable>(work: JobWork<Jobs>): void {
  const running = new Map<number, AbortController>();
  const left = new Map<number, () => Promise<void>>();
  const post = (answer: Answer): void => {
    postMessage(answer);
  };
  const release = async (id: number): Promise<void> => {
    const remove = left.get(id);
    left.delete(id);
    // What cannot be removed now is swept by a later worker.
    await remove?.().catch(() => undefined);
  };
  const run = async <K extends keyof Jobs>(id: number, job: K, ask: Jobs[K]["ask"]) => {
    const controller = new AbortController();
    const { signal } = controller;
    running.set(id, controller);
    try {
      const tell = (news: Jobs[K]["news"]) => {
        if (!signal.aborted) post({ kind: "news", id, news });
      };
      const leave = (remove: () => Promise<void>) => left.set(id, remove);
      post({ kind: "done", id, result: await work[job](ask, { signal, tell, leave }) });
    } catch (error) {
      await release(id);
      const message = error instanceof Error ? error.message : String(error);
      post(signal.aborted ? { kind: "cancelled", id } : { kind: "failed", id, message });
    } finally {
      running.delete(id);
    }
  };
  addEventListener("message", ({ data }: MessageEvent<Request>) => {
    if (data.kind === "start") void run(data.id, data.job as keyof Jobs, data.ask);
    else if (data.kind === "cancel") running.get(data.id)?.abort();
    else void release(data.id);
  });
  // Nobody knows whose request it was: an error that nobody catches ends all jobs on the page.
  addEventListener("messageerror", () => {
    throw new Error("a request cannot be read");
  });
}
