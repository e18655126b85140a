/** Work on one entry is done once at a time: among all pages and workers of an origin, or in this realm alone. */
import { platform } from "./platform.js";

/** Locks by the ids of entries. */
export interface Locks {
  /** Runs `work` when nobody else works on this id. */
  alone: <T>(id: string, work: () => Promise<T>) => Promise<T>;
  /** Runs `work` unless somebody else works on this id. */
  ifFree: (id: string, work: () => Promise<void>) => Promise<void>;
  /** True when these locks are known to everybody who has the same store. */
  isCertain: boolean;
}

/** The last work of each id in this realm: several caches may have one store. */
const last = new Map<string, Promise<unknown>>();

function ownLocks(prefix: string): Locks {
  const alone: Locks["alone"] = (idOnly, work) => {
    const id = prefix + idOnly;
    const result = (last.get(id) ?? Promise.resolve()).then(work);
    const settled = result
      .catch(() => undefined)
      .then(() => {
        if (last.get(id) === settled) last.delete(id);
      });
    last.set(id, settled);
    return result;
  };
  const ifFree: Locks["ifFree"] = async (id, work) => {
    if (!last.has(prefix + id)) await alone(id, work);
  };
  return { alone, ifFree, isCertain: false };
}

/** Locks that browsers have, and Node.js since version 24; own ones for pages that are refused them. */
function webLocks(locks: LockManager, prefix: string): Locks {
  const own = ownLocks(prefix);
  /** Asks for a lock; frames in a sandbox have no origin, and so nobody whom they could share a store with. */
  const ask = async <T>(
    id: string,
    ifAvailable: boolean,
    work: (isMine: boolean) => Promise<T>,
    instead: () => Promise<T>,
  ): Promise<T> => {
    const state = { hasBegun: false };
    try {
      return await locks.request(prefix + id, { ifAvailable }, async (lock) => {
        state.hasBegun = true;
        return work(lock !== null);
      });
    } catch (error) {
      const { name } = (error ?? {}) as { name?: unknown };
      if (state.hasBegun || name !== "SecurityError") throw error;
      return instead();
    }
  };
  return {
    alone: (id, work) => ask(id, false, work, () => own.alone(id, work)),
    ifFree: (id, work) =>
      ask(
        id,
        true,
        async (isMine) => (isMine ? work() : undefined),
        () => own.ifFree(id, work),
      ),
    // Those of Node.js end with the process.
    isCertain: "document" in globalThis || "WorkerGlobalScope" in globalThis,
  };
}

/** Gives the platform's locks for the cache of this name, or own ones. */
export function locksFor(name: string): Locks {
  const { locks } = platform.navigator ?? {};
  const prefix = `modelshrink ${name} `;
  return locks ? webLocks(locks, prefix) : ownLocks(prefix);
}
