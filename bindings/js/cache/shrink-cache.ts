/** The shrinking cache in the shapes that apps want: a model, a Cache, a fetch. */
import { behindDoor, callUser } from "../base/door.js";
import { ArgumentError, ModelShrinkError } from "../base/errors.js";
import { mainFilePatterns } from "../base/formats.js";
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkObject,
  checkSignal,
  optional,
  show,
} from "../base/options.js";
import { isA } from "../base/tags.js";
import { checkRequest, isReadable, signalOf, wayOf } from "../files/request.js";
import { fetchError } from "../files/stream.js";
import { baseAddress, besideUrl, decoded, nameOfUrl, parseUrl, shownUrl } from "../files/url.js";
import { maxTimeoutMs, maxWorkers } from "../models/options.js";
import { checkWords } from "../recipe/check.js";
import type { Recipe } from "../recipe/options.js";
import { StatusError } from "./download.js";
import { limited } from "./limited.js";
import { idOf } from "./parts.js";
import { platform } from "./platform.js";
import { modelOf, ShrunkModels, type Loading, type Served } from "./shrunk.js";
import { draftStoreFor, storeFor } from "./stores.js";
import type {
  Address,
  CachedEntry,
  CachedOptions,
  CacheWarning,
  ShrinkCache,
  ShrinkCacheOptions,
} from "./types.js";

const optionKeys = [
  ...["recipe", "name", "store", "revision", "revalidate", "smaller", "packed", "workers"],
  ...["timeoutMs", "onProgress", "onWarning"],
];

function checkText(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new ArgumentError(`${name} is ${show(value)}; it must be a text.`);
}

/** Checks a recipe's words; its rules are checked where it is used. */
function checkRecipeOf(value: unknown): string | Recipe {
  checkWords(value);
  // The caller may change its own later.
  return structuredClone(value) as string | Recipe;
}

function checkSmaller(value: unknown): readonly (string | Recipe)[] {
  if (Array.isArray(value)) return value.map(checkRecipeOf);
  throw new ArgumentError(`smaller is ${show(value)}; it must be a list of recipes.`);
}

function checkCacheOptions(options: unknown) {
  const given = checkObject("options", options);
  checkKeys("options", given, optionKeys);
  checkFunction("onProgress", given.onProgress);
  checkFunction("onWarning", given.onWarning);
  optional(given.timeoutMs, (it) => checkInteger("timeoutMs", it, 1, maxTimeoutMs));
  optional(given.workers, (it) => checkInteger("workers", it, 0, maxWorkers));
  optional(given.revision, (it) => checkText("revision", it));
  optional(given.revalidate, (it) => checkBoolean("revalidate", it));
  optional(given.packed, (it) => checkBoolean("packed", it));
  const onWarning = (options as ShrinkCacheOptions).onWarning;
  return {
    ...(options as ShrinkCacheOptions),
    name: checkText("name", given.name ?? "modelshrink"),
    recipe: checkRecipeOf(given.recipe ?? "int8"),
    smaller: checkSmaller(given.smaller ?? []),
    onWarning:
      onWarning ??
      (({ message, cause }: CacheWarning) => {
        console.warn(`modelshrink: ${message}`, cause);
      }),
  };
}

/** Gives the address as it was written. */
function textOf(request: Address): string {
  const { href, url } = Object(request) as { href?: string; url?: string };
  const text: unknown = href ?? url ?? request;
  return typeof text === "string" ? text : show(text);
}

/** Gives an address for a message: what is before an "@" may be a password. */
const shownText = (request: Address) => show(textOf(request).replace(/\/\/.*@/s, "//…@"));

/** Gives an absolute http(s) address without its fragment; undefined for others, and with a password, as no fetch takes it. */
function addressOf(request: Address): string | undefined {
  const url = parseUrl(textOf(request), baseAddress());
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return undefined;
  url.hash = "";
  return url.href;
}

/** Tells whether an address is that of a model's main file, as far as its name says. */
const isModel = (url: string) => mainFilePatterns.some((pattern) => pattern.test(nameOfUrl(url)));

/** Gives the addresses of the main files that a file of this address may belong to, as names of the formats say. */
function mainsOf(url: string): string[] {
  const at = (pattern: RegExp, to: string) => {
    const address = new URL(url);
    const path = address.pathname.replace(pattern, to);
    if (path === address.pathname) return [];
    address.pathname = path;
    return [address.href];
  };
  return [
    ...at(/\.onnx[._]data(_\d+)?$/i, ".onnx"),
    ...at(/-\d{5}(?=-of-\d{5}\.gguf$)/i, "-00001"),
  ];
}

/** Where a file is, however its address is encoded: with and without a query. */
function placesOf(address: string): [withQuery: string, place: string] {
  const { origin, pathname, search } = new URL(address);
  const place = origin + decoded(pathname);
  return [place + search, place];
}

const typeOf = (name: string) =>
  name.endsWith(".json") ? "application/json" : "application/octet-stream";

function responseOf(name: string, blob: Blob, state: string): Response {
  const headers = {
    "content-type": blob.type || typeOf(name),
    "content-length": String(blob.size),
    "x-modelshrink": state,
  };
  return new Response(blob, { headers });
}

/** Answers a request for a range of a file; other ranges than one of known beginning get the whole. */
async function partOf(file: Response, range: string | undefined): Promise<Response> {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return file;
  const blob = await file.blob();
  const [begin, end] = [Number(first), Math.min(blob.size, last ? Number(last) + 1 : blob.size)];
  const isThere = begin < end;
  const headers = new Headers(file.headers);
  headers.set("content-range", `bytes ${isThere ? `${begin}-${end - 1}` : "*"}/${blob.size}`);
  headers.set("content-length", String(isThere ? end - begin : 0));
  return new Response(isThere ? blob.slice(begin, end) : null, {
    status: isThere ? 206 : 416,
    headers,
  });
}

/** Gives the user's own request; undefined for an address. */
const requestOf = (asked: unknown) => (isA(asked, "Request") ? (asked as Request) : undefined);

/** Gives headers, however they are given, in a form that can be compared; throws an ArgumentError for what no request can have. */
function headersOf(given: HeadersInit): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(given));
  } catch (cause) {
    throw new ArgumentError(`headers cannot be sent: ${(cause as Error).message}`, { cause });
  }
}

/** Says how a model's files are asked for: as by the user's own request where there is one, with the headers of the options. */
function loadingBy(request: Request | undefined, options: CachedOptions = {}): Loading {
  const headers = headersOf(options.headers ?? {});
  const { signal } = options;
  if (!request) return { signal, request: { headers } };
  const way = wayOf(request);
  return {
    signal: signalOf(request, signal),
    request: { ...way, headers: { ...way.headers, ...headers } },
  };
}

class OneCache implements ShrinkCache {
  readonly #settings: ReturnType<typeof checkCacheOptions>;
  readonly #models: ShrunkModels;
  /** The main files of models that were given, by the places of their other files. */
  readonly #mains = new Map<string, string>();
  /** The main files of models that were given unshrunk: they stay so, since their other files must fit. */
  readonly #unshrunk = new Set<string>();
  #noted: Promise<void> | undefined;
  #persisted: Promise<boolean> | undefined;

  constructor(options: ShrinkCacheOptions) {
    this.#settings = checkCacheOptions(options);
    const { store, name, timeoutMs } = this.#settings;
    this.#models = new ShrunkModels(
      this.#settings,
      limited(storeFor(store, name), timeoutMs),
      limited(draftStoreFor(store, name), timeoutMs),
    );
  }

  cached: ShrinkCache["cached"] = (url, recipe, options = {}) =>
    behindDoor(options, async () => {
      checkKeys("options", checkObject("options", options), ["signal", "headers"]);
      checkSignal("signal", options.signal);
      optional(options.headers, (it) => checkObject("headers", it));
      const address = addressOf(url);
      if (address === undefined) {
        throw new ArgumentError(
          `url is ${shownText(url)}; it must be an http(s) address without a password.`,
        );
      }
      const asked = requestOf(url);
      if (asked) checkRequest(asked);
      return modelOf(await this.#load(address, loadingBy(asked, options), recipe));
    });

  async #load(url: string, how?: Loading, own?: string | Recipe): Promise<Served> {
    const recipe = own === undefined ? this.#settings.recipe : checkRecipeOf(own);
    const served = await this.#models.load(url, recipe, how);
    this.#note(url, Object.keys(served.files));
    return served;
  }

  /** Notes which model these files are of, the first of which is its main one. */
  #note(url: string, names: readonly string[]): void {
    const { search } = new URL(url);
    for (const name of names.slice(1)) {
      const [, place] = placesOf(besideUrl(name, url));
      this.#mains.set(place, url).set(place + search, url);
    }
  }

  /** Notes what is kept already: a service worker may be ended between a model's files. */
  async #noteKept(): Promise<void> {
    const kept = await this.#models.list(this.#settings.recipe).catch(() => []);
    for (const { url, names } of kept) this.#note(url, names);
  }

  /** Gives a file of a model, as it is when the model cannot be shrunk; undefined when this is no file of a shrunk one. */
  async #modelFile(url: string, how?: Loading): Promise<Response | undefined> {
    const isMain = isModel(url) && mainsOf(url).every((it) => it === url);
    const [withQuery, place] = placesOf(url);
    if (!isMain) await (this.#noted ??= this.#noteKept());
    const main = isMain
      ? url
      : (this.#mains.get(withQuery) ?? this.#mains.get(place) ?? mainsOf(url)[0]);
    if (main === undefined || this.#unshrunk.has(main)) return undefined;
    const served = await this.#load(main, how).catch((error: unknown) => {
      const isNone = error instanceof StatusError && error.response.status === 404;
      if (isNone && !isMain) return undefined;
      throw error;
    });
    // Meanwhile another load of it may have failed.
    if (!served || this.#unshrunk.has(main)) return undefined;
    const files = Object.entries(served.files);
    const wanted = files.findIndex(([name], i) =>
      i === 0 ? url === main : placesOf(besideUrl(name, main))[1] === place,
    );
    if ("failure" in served) {
      this.#unshrunk.add(main);
      const message = `${shownUrl(main)} is given as it is.`;
      this.#warn({ code: "unshrunk", message, cause: served.failure });
    }
    const [name, blob] = files[wanted] ?? [];
    if (name === undefined || !blob) return undefined;
    const state = "failure" in served ? "unshrunk" : served.hit ? "hit" : "shrunk";
    return responseOf(name, blob, state);
  }

  #warn(warning: CacheWarning): void {
    callUser(() => {
      this.#settings.onWarning(warning);
    });
  }

  match: ShrinkCache["match"] = (request) =>
    behindDoor(undefined, async () => {
      const url = addressOf(request);
      if (url === undefined) return undefined;
      // Of addresses that are relative to the page, apps only ask whether they are there.
      const isNamed = parseUrl(textOf(request)) !== undefined;
      const asked = requestOf(request);
      const isLoad = isNamed && (!asked || isReadable(asked));
      const file = isLoad ? await this.#modelFile(url, asked && loadingBy(asked)) : undefined;
      return file ?? (await this.#plain(url));
    });

  async #plain(url: string): Promise<Response | undefined> {
    try {
      const found = await (await this.#models.records()).read(await idOf("file", url));
      const [entry] = Object.entries(found?.files ?? {});
      return entry && responseOf(...entry, "hit");
    } catch (cause) {
      const message = `${shownUrl(url)} in the cache cannot be read.`;
      this.#warn({ code: "damaged", message, cause });
      return undefined;
    }
  }

  put: ShrinkCache["put"] = (request, response) =>
    behindDoor(undefined, async () => {
      const url = addressOf(request);
      if (url === undefined)
        throw new ArgumentError(`${shownText(request)} is no http(s) address without a password.`);
      if (response.status !== 200)
        throw new ArgumentError(`The response has HTTP status ${response.status}.`);
      const type = response.headers.get("content-type") ?? "";
      const body = await response.blob().catch((cause: unknown) => {
        throw fetchError(shownUrl(url), cause);
      });
      const blob = new Blob([body], { type });
      const announced = response.headers.get("content-length");
      const isPacked = response.headers.has("content-encoding") || response.type === "cors";
      // It may have been packed where a page cannot see that: more is no sign of a body that was cut off.
      if (!isPacked && blob.size < Number(announced)) {
        throw new ModelShrinkError(
          `${shownUrl(url)} gave ${blob.size} bytes instead of ${announced}, and is not kept.`,
          "io",
        );
      }
      await this.#models.keepFile(await idOf("file", url), url, nameOfUrl(url), blob);
    });

  list: ShrinkCache["list"] = () => behindDoor(undefined, () => this.#models.entries());

  delete: ShrinkCache["delete"] = (request) =>
    behindDoor(undefined, async () => {
      const { id } = Object(request) as Partial<CachedEntry>;
      const url = addressOf(request as Address);
      if (url === undefined) return false;
      this.#unshrunk.delete(url);
      return this.#models.remove(url, id);
    });

  fetch: ShrinkCache["fetch"] = async (input, given?: RequestInit | null) => {
    const init = given ?? {};
    const own = requestOf(input);
    const method = (init.method ?? own?.method ?? "GET").toUpperCase();
    const url = addressOf(input);
    if (url !== undefined && (method === "GET" || method === "HEAD")) {
      // Neither has a body, which could be read only once.
      const asked = new Request(own ?? url, init);
      const file = await this.#answer(url, asked, init, own !== undefined);
      if (file) {
        const range = asked.headers.get("range") ?? undefined;
        return method === "HEAD" ? new Response(null, file) : partOf(file, range);
      }
    }
    return globalThis.fetch(input, init);
  };

  /** Answers a request for a model's file; gives undefined for others, and for requests whose response nobody may read. */
  async #answer(
    url: string,
    asked: Request,
    init: RequestInit,
    isUsers: boolean,
  ): Promise<Response | undefined> {
    if (!/^(cors|same-origin)$/.test(asked.mode) || !isReadable(asked)) return undefined;
    const { signal, request } = loadingBy(asked);
    // What a request does not show of `init`, such as its priority, is the platform's to know; the way is compared by its words.
    const isCommon = !isUsers && Object.keys(init).every((name) => name in request!);
    const how = {
      request: { ...init, ...request, method: "GET" },
      ...(isCommon ? {} : { signal }),
    };
    try {
      return await behindDoor(how, () => this.#modelFile(url, how));
    } catch (error) {
      if (error instanceof StatusError && !error.response.ok) return error.response.clone();
      throw error;
    }
  }

  persist: ShrinkCache["persist"] = () => {
    const { storage } = platform.navigator ?? {};
    return (this.#persisted ??= storage?.persist?.() ?? Promise.resolve(false));
  };
}

/**
 * Makes a cache that shrinks models when they first come, keeps the small ones, and gives those ever after.
 *
 * @throws ArgumentError for a wrong option.
 */
export const createShrinkCache = (options: ShrinkCacheOptions = {}): ShrinkCache =>
  new OneCache(options);
