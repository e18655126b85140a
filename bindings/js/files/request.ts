/** A user's own request: what of it is repeated, and what ends it. */
import { fromUser } from "../base/door.js";
import { ArgumentError } from "../base/errors.js";
import type { ReadOptions } from "./raw.js";

/** Tells whether anybody may read the response to a request. */
export const isReadable = ({ mode, redirect }: Request): boolean =>
  mode !== "no-cors" && redirect !== "manual";

/** Throws an ArgumentError for a request that is no download. */
export function checkRequest(request: Request): void {
  const { method, mode, redirect } = request;
  if (method !== "GET") {
    throw new ArgumentError(
      `The request's method is ${method}: models are read by GET. Pass the response of fetch().`,
    );
  }
  if (isReadable(request)) return;
  throw new ArgumentError(
    `The request's mode is "${mode}" and its redirect "${redirect}": nobody may read the response.`,
  );
}

/**
 * Gives what a request says beside its address, method and signal. Ranges are asked for here, and conditions are about a
 * copy that the user has.
 */
export function wayOf(
  request: Request,
): Omit<RequestInit, "headers"> & { headers: Record<string, string> } {
  const { credentials, cache, redirect, referrer, referrerPolicy, integrity, keepalive } = request;
  const headers = [...request.headers].filter(([name]) => !/^(range$|if-)/.test(name));
  return {
    headers: Object.fromEntries(headers),
    // No script may ask as the browser itself does.
    mode: request.mode === "navigate" ? "same-origin" : request.mode,
    ...{ credentials, cache, redirect, referrer, referrerPolicy, integrity, keepalive },
  };
}

/** Gives a signal that is aborted when one of these is, by its reason. */
export function anyOf(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const controller = new AbortController();
  for (const it of signals) {
    const end = () => {
      controller.abort(it?.reason);
    };
    if (it?.aborted) end();
    else it?.addEventListener("abort", end, { once: true, signal: controller.signal });
  }
  return controller.signal;
}

/** The requests of signals: on Node.js a request's own signal says nothing any more once nobody has the request. */
const requests = new WeakMap<AbortSignal, Request>();

/** Gives a signal that is aborted when the request's own one is, or `signal`, by the same reason, which is the user's. */
export function signalOf(request: Request, signal?: AbortSignal): AbortSignal {
  const either = anyOf(request.signal, signal);
  const remember = () => void fromUser(either.reason);
  if (either.aborted) remember();
  else either.addEventListener("abort", remember, { once: true });
  requests.set(either, request);
  return either;
}

/** Gives how long to wait for what a request, where it is one, gives: until its own signal is aborted, too. */
export const waitingFor = <T extends ReadOptions>(waiting: T, request: Request | undefined): T =>
  request ? { ...waiting, signal: signalOf(request, waiting.signal) } : waiting;
