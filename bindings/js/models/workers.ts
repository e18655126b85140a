/** Decides whether work is done in workers or on this thread. */
import type { Host } from "./host.js";
import { warnOfMissingWorkers } from "./missing-workers.js";
import type { WorkerPool } from "./pool.js";

/** Fewer bytes are done before a worker has started. */
const minBytes = 1 << 22;

/** By default a model of more tensors gets no workers, because each of them holds the structure again. */
const maxTensors = 5_000;

/** The size of the work. */
export interface Extent {
  bytes: number;
  tensors: number;
}

/**
 * Gives the pool that is to work for `host`; undefined where this thread is to: with 0 workers, for little work, and
 * where the pool's code cannot be loaded, as in a service worker of several files. `workers` is the number that the user
 * asked for, if any.
 */
export async function poolFor(
  host: Host,
  workers: number | undefined,
  { bytes, tensors }: Extent,
): Promise<WorkerPool | undefined> {
  const isMany = workers === undefined && tensors > maxTensors;
  if (workers === 0 || bytes < minBytes || isMany) return undefined;
  try {
    return new (await import("./pool.js")).WorkerPool(host, workers);
  } catch (error) {
    if (workers !== undefined) warnOfMissingWorkers(String(error));
    return undefined;
  }
}
