/** The page's end of the worker: each job is a promise. */
import type { Answer, JobKind, Jobs, Request } from "./protocol.js";

/** The rejection of a job that was cancelled. */
export class Cancelled extends Error {}

export interface Task<T> {
  result: Promise<T>;
  cancel: () => void;
  /** Lets go of the files that the job has left. */
  release: () => void;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onNews(news: unknown): void;
}

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const waiting = new Map<number, Waiting>();
let lastId = 0;

const send = (request: Request): void => {
  worker.postMessage(request);
};

worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  const job = waiting.get(data.id);
  if (data.kind === "news") {
    job?.onNews(data.news);
    return;
  }
  waiting.delete(data.id);
  if (data.kind === "done") job?.resolve(data.result);
  else job?.reject(data.kind === "failed" ? new Error(data.message) : new Cancelled());
});

/** Calls `tell` when the worker itself does not start. */
export function onBrokenWorker(tell: (message: string) => void): void {
  worker.addEventListener("error", ({ message }) => {
    tell(`The worker could not start: ${message}`);
  });
}

export function start<K extends JobKind>(
  kind: K,
  ask: Jobs[K]["ask"],
  onNews: (news: Jobs[K]["news"]) => void = () => undefined,
): Task<Jobs[K]["result"]> {
  const id = ++lastId;
  const result = new Promise<Jobs[K]["result"]>((resolve, reject) => {
    waiting.set(id, {
      resolve: resolve,
      reject,
      onNews: onNews,
    });
  });
  send({ kind, id, ask } as Request);
  return {
    result,
    cancel: () => {
      send({ kind: "cancel", id });
    },
    release: () => {
      send({ kind: "release", id });
    },
  };
}
