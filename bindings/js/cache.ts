/** modelshrink/cache: models are shrunk when they first come, and the small ones kept. */
export { createShrinkCache } from "./cache/shrink-cache.js";
export { serveFromCache } from "./cache/service-worker.js";
export type { RequestEvent, RequestScope } from "./cache/service-worker.js";
export { folderStore } from "#folder-store";
export type {
  Address,
  CachedEntry,
  CachedModel,
  CachedOptions,
  CacheProgress,
  CacheStore,
  CacheWarning,
  ShrinkCache,
  ShrinkCacheOptions,
  StoreName,
} from "./cache/types.js";
