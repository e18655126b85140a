/** Service workers: whatever a page loads models with gets the small ones. */
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import type { Request, Response } from "../base/platform-types.js";
import { hasMethods } from "../base/tags.js";
import type { ShrinkCache } from "./types.js";

/** What is used of a FetchEvent. */
export interface RequestEvent {
  /** The request that the page made. */
  request: Request;
  /** Answers it. */
  respondWith(response: Promise<Response>): void;
}

/** What is used of a service worker's `self`. */
export interface RequestScope {
  /** Adds a listener of requests. */
  addEventListener(type: "fetch", listener: (event: RequestEvent) => void): void;
}

/** Tells whether a request is of a script, by fetch() or the like: pages, images and streams of events are no models. */
const isLoad = ({ method, destination, url, headers }: Request): boolean =>
  /^(GET|HEAD)$/.test(method) &&
  (destination as string) === "" &&
  /^https?:/.test(url) &&
  !headers.get("accept")?.includes("text/event-stream");

/**
 * Answers the requests that scripts of pages make by `cache.fetch`, in a service worker's script: models come shrunk,
 * and other things as they are. Call it when the script begins.
 *
 * @param scope - The service worker's `self`.
 * @throws ArgumentError where `scope` is no such scope, or `cache` none of {@link createShrinkCache}.
 */
export function serveFromCache(scope: RequestScope, cache: Pick<ShrinkCache, "fetch">): void {
  if (!hasMethods(scope, "addEventListener"))
    throw new ArgumentError(`scope is ${show(scope)}; it must be the service worker's self.`);
  if (!hasMethods(cache, "fetch"))
    throw new ArgumentError(`cache is ${show(cache)}; it must be what createShrinkCache() gave.`);
  scope.addEventListener("fetch", (event) => {
    if (isLoad(event.request)) event.respondWith(cache.fetch(event.request));
  });
}
