/** What the page and the worker that has the cache ask each other. */
import type { Recipe } from "modelshrink";
import type { CachedEntry } from "modelshrink/cache";
import type { Files } from "../open/files.js";

/** How far a model is: what is being done, and a part of 1 where that is known. */
export interface Loading {
  words: string;
  fraction?: number;
}

export type Jobs = {
  list: { ask: undefined; news: never; result: CachedEntry[] };
  /** Downloads a model, shrinks it and keeps it; gives it from the cache where it is there. */
  load: { ask: { url: string; recipe: string | Recipe }; news: Loading; result: Files };
  delete: { ask: { entry: CachedEntry }; news: never; result: boolean };
};
