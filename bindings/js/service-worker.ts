/**
 * modelshrink/service-worker: all of "modelshrink" and "modelshrink/cache" in one file, because a service worker may load
 * nothing when it is at work.
 */
export * from "./index.js";
export * from "./cache.js";
