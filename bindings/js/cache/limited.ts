/** Stores that end: one that never answers must not hold up whoever wants a model. */
import { waitFor } from "../files/stream.js";
import type { ByteStore } from "./stores.js";

/** A store that was silent once is not asked again for so long, in milliseconds. */
const silence = 60_000;

/** The same store, but what it does not answer in time, by `timeoutMs` as for servers, fails by an "io" error. */
export function limited(store: ByteStore, timeoutMs: number | undefined): ByteStore {
  let silent: { error: unknown; at: number } | undefined;
  const within = async <T>(work: () => Promise<T>): Promise<T> => {
    if (silent && Date.now() - silent.at < silence) throw silent.error;
    const state = { isAnswered: false };
    const answer = (async () => {
      try {
        return await work();
      } finally {
        state.isAnswered = true;
      }
    })();
    try {
      return await waitFor("The store", { timeoutMs }, answer);
    } catch (error) {
      if (!state.isAnswered) silent = { error, at: Date.now() };
      throw error;
    }
  };
  return {
    get: (key) => within(() => store.get(key)),
    set: (key, bytes) => within(() => store.set(key, bytes)),
    delete: (key) => within(() => store.delete(key)),
    keys: () => within(() => store.keys()),
  };
}
