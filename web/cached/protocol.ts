/** What the page and the worker that has the cache ask each other. */
import type { Recipe } from "modelshrink";
import type { CachedEntry } from "modelshrink/cache";
import type { Files } from "../open/files.js";

/** What the worker can be asked for, and what it gives. */
export type Jobs = {
  list: { given: object; result: CachedEntry[] };
  /** Downloads a model, shrinks it and keeps it; gives it from the cache where it is there. */
  load: { given: { url: string; recipe: string | Recipe }; result: Files };
  delete: { given: { entry: CachedEntry }; result: boolean };
};
