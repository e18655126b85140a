/** The shrinking cache in the shapes that apps want: a model, a Cache, a fetch. */
import { behindDoor } from "../base/door.js";
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
import { init } from "../core/init.js";
import { nameOfUrl, parseUrl, shownUrl } from "../files/url.js";
import { maxTimeoutMs, maxWorkers } from "../models/inspect.js";
import { checkWords } from "../recipe/check.js";
import type { Recipe } from "../recipe/options.js";
import { idOf } from "./records.js";
import { platform } from "./platform.js";
import { modelOf, ShrunkModels, type Served } from "./shrunk.js";
import { storeFor } from "./stores.js";
import type {
  Address,
  CachedOptions,
  CacheWarning,
  ShrinkCache,
  ShrinkCacheOptions,
} from "./types.js";

const optionKeys = [
  ...["recipe", "name", "store", "revision", "revalidate", "smaller", "workers", "timeoutMs"],
  ...["onProgress", "onWarning"],
];

function checkText(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new ArgumentError(`${name} is ${show(value)}; it must be a text.`);
}

/** Checks a recipe's words; its rules are checked where it is used. */
function checkRecipeOf(value: unknown): string | Recipe {
  checkWords(value);
  return value as string | Recipe;
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

/** The page's or worker's own address, which relative ones go on from. */
function baseAddress(): string | undefined {
  const { document, location } = globalThis as { document?: Document; location?: Location };
  return document?.baseURI ?? location?.href;
}

/** Gives the address as it was written. */
function textOf(request: Address): string {
  if (typeof request === "string") return request;
  return "href" in request ? request.href : request.url;
}

/** Gives an absolute http(s) address without its fragment; undefined for others. */
function addressOf(request: Address): string | undefined {
  const url = parseUrl(textOf(request), baseAddress());
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
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

class OneCache implements ShrinkCache {
  readonly #settings: ReturnType<typeof checkCacheOptions>;
  readonly #models: ShrunkModels;
  /** The main files of models that were given, by the addresses of their other files. */
  readonly #mains = new Map<string, string>();
  #persisted: Promise<boolean> | undefined;

  constructor(options: ShrinkCacheOptions) {
    this.#settings = checkCacheOptions(options);
    const { store, name } = this.#settings;
    this.#models = new ShrunkModels(this.#settings, storeFor(store, name));
  }

  cached: ShrinkCache["cached"] = (url, recipe, options = {}) =>
    behindDoor(options, async () => {
      checkKeys("options", checkObject("options", options), ["signal", "headers"]);
      checkSignal("signal", options.signal);
      optional(options.headers, (it) => checkObject("headers", it));
      const address = addressOf(url);
      if (address === undefined)
        throw new ArgumentError(`url is ${show(textOf(url))}; it must be an http(s) address.`);
      return modelOf(await this.#load(address, recipe, options));
    });

  async #load(url: string, recipe?: string | Recipe, how: CachedOptions = {}): Promise<Served> {
    await init();
    const served = await this.#models.load(url, recipe ?? this.#settings.recipe, how);
    for (const name of Object.keys(served.files).slice(1)) {
      this.#mains.set(new URL(name.split("/").map(encodeURIComponent).join("/"), url).href, url);
    }
    return served;
  }

  /** Gives a file of a model, as it is when the model cannot be shrunk; undefined when this is no file of a model. */
  async #modelFile(url: string, how?: CachedOptions): Promise<Response | undefined> {
    const isMain = isModel(url) && mainsOf(url).every((it) => it === url);
    const main = isMain ? url : (this.#mains.get(url) ?? mainsOf(url)[0]);
    if (main === undefined) return undefined;
    const served = await this.#load(main, undefined, how);
    const files = Object.entries(served.files);
    const folder = new URL(".", main).href;
    const wanted = files.findIndex(([name], i) =>
      i === 0
        ? url === main
        : url === new URL(name.split("/").map(encodeURIComponent).join("/"), folder).href,
    );
    const [name, blob] = files[wanted] ?? [];
    if (name === undefined || !blob) return undefined;
    if (!("failure" in served)) return responseOf(name, blob, served.hit ? "hit" : "shrunk");
    const message = `${shownUrl(main)} is given as it is.`;
    this.#settings.onWarning({ code: "unshrunk", message, cause: served.failure });
    return responseOf(name, blob, "unshrunk");
  }

  match: ShrinkCache["match"] = (request) =>
    behindDoor(undefined, async () => {
      const url = addressOf(request);
      if (url === undefined) return undefined;
      // Of addresses that are relative to the page, apps only ask whether they are there.
      const isNamed = parseUrl(textOf(request)) !== undefined;
      const file = isNamed ? await this.#modelFile(url) : undefined;
      return file ?? (await this.#plain(url));
    });

  async #plain(url: string): Promise<Response | undefined> {
    try {
      const found = await (await this.#models.records()).read(await idOf("file", url));
      const [entry] = Object.entries(found?.files ?? {});
      return entry && responseOf(...entry, "hit");
    } catch (cause) {
      const message = `${shownUrl(url)} in the cache cannot be read.`;
      this.#settings.onWarning({ code: "damaged", message, cause });
      return undefined;
    }
  }

  put: ShrinkCache["put"] = (request, response) =>
    behindDoor(undefined, async () => {
      const url = addressOf(request);
      if (url === undefined)
        throw new ArgumentError(`${show(textOf(request))} is no http(s) address.`);
      if (!response.ok) throw new ArgumentError(`The response has HTTP status ${response.status}.`);
      const type = response.headers.get("content-type") ?? "";
      const blob = new Blob([await response.blob()], { type });
      const announced = response.headers.get("content-length");
      const isPacked = response.headers.has("content-encoding") || response.type === "cors";
      if (announced !== null && !isPacked && Number(announced) !== blob.size) {
        throw new ModelShrinkError(
          `${shownUrl(url)} gave ${blob.size} bytes instead of ${announced}, and is not kept.`,
          "io",
        );
      }
      const id = await idOf("file", url);
      await (
        await this.#models.records()
      ).write(id, { kind: "file", url }, { [nameOfUrl(url)]: blob });
    });

  delete: ShrinkCache["delete"] = (request) =>
    behindDoor(undefined, async () => {
      const url = addressOf(request);
      const records = await this.#models.records();
      let wasThere = false;
      for (const { id, facts } of await records.list()) {
        if (facts?.url === url) wasThere = (await records.remove(id)) || wasThere;
      }
      return wasThere;
    });

  fetch: ShrinkCache["fetch"] = async (input, init: RequestInit = {}) => {
    const isRequest = isA(input, "Request");
    const method = (init.method ?? (isRequest ? (input as Request).method : "GET")).toUpperCase();
    const url = addressOf(input);
    if (url !== undefined && (method === "GET" || method === "HEAD")) {
      // Neither has a body, which could be read only once.
      const { headers, signal } = new Request(isRequest ? input : url, init);
      const { range, ...others } = Object.fromEntries(headers);
      const how = { headers: others, ...(init.signal || isRequest ? { signal } : {}) };
      const file = await behindDoor(how, () => this.#modelFile(url, how));
      if (file) return method === "HEAD" ? new Response(null, file) : partOf(file, range);
    }
    return globalThis.fetch(input, init);
  };

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
