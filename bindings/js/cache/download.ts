/** Models as they come from a server: each file is read once, from front to end, and checked against what was announced. */
import { callUser } from "../base/door.js";
import { ModelShrinkError } from "../base/errors.js";
import { fromBlob } from "../files/blob.js";
import { FileSetSource } from "../files/open.js";
import type { RawFile, ReadOptions } from "../files/raw.js";
import { blobOfResponse, fetchError, waitFor } from "../files/stream.js";
import { nameOfUrl, shownUrl } from "../files/url.js";
import type { CacheProgress } from "./types.js";

/** What a server says of a file's version; the same as long as the file is. */
export interface Validators {
  etag?: string;
  lastModified?: string;
}

const validatorsOf = ({ headers }: Response): Validators => {
  const [etag, lastModified] = [headers.get("etag"), headers.get("last-modified")];
  return { ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) };
};

/** Downloads, with what they need. */
export interface Downloading extends ReadOptions {
  onProgress: ((progress: CacheProgress) => void) | undefined;
  /** Headers for every request. */
  headers: Readonly<Record<string, string>>;
}

async function request(url: string, init: RequestInit, waiting: ReadOptions): Promise<Response> {
  const controller = new AbortController();
  try {
    return await waitFor(
      shownUrl(url),
      waiting,
      fetch(url, { ...init, signal: controller.signal }),
    );
  } catch (cause) {
    controller.abort();
    const isOwn =
      cause instanceof ModelShrinkError ||
      (waiting.signal?.aborted && cause === waiting.signal.reason);
    throw isOwn ? cause : fetchError(shownUrl(url), cause);
  }
}

/** Passes a body on and tells how far it is. */
function counted(response: Response, onBytes: (loaded: number, total?: number) => void): Response {
  const { body, headers } = response;
  if (!body) return response;
  const length = Number(headers.get("content-length") ?? NaN);
  let loaded = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      loaded += bytes.length;
      onBytes(loaded, length > 0 ? length : undefined);
      controller.enqueue(bytes);
    },
  });
  const passed = new Response(body.pipeThrough(counter), { headers });
  // The bounds of a body depend on where it comes from.
  Object.defineProperty(passed, "url", { value: response.url });
  Object.defineProperty(passed, "type", { value: response.type });
  return passed;
}

/** A file that came. */
interface Downloaded {
  blob: Blob;
  validators: Validators;
}

/** Downloads a file; gives undefined when the server has none (404). */
async function download(url: string, downloading: Downloading): Promise<Downloaded | undefined> {
  const response = await request(url, { headers: downloading.headers }, downloading);
  if (response.status === 404) {
    void response.body?.cancel().catch(() => undefined);
    return undefined;
  }
  if (response.status !== 200) {
    throw new ModelShrinkError(`${shownUrl(url)} gave HTTP status ${response.status}.`, "io");
  }
  const { onProgress } = downloading;
  const names = { name: url, file: nameOfUrl(url) };
  const tell = (progress: Omit<CacheProgress, "name" | "file">) => {
    callUser(() => onProgress?.({ ...progress, ...names }));
  };
  tell({ status: "download" });
  const body = counted(response, (loaded, total) => {
    const share =
      total === undefined ? {} : { total, progress: Math.min(100, (100 * loaded) / total) };
    tell({ status: "progress", loaded, ...share });
  });
  const blob = await blobOfResponse(body, { ...downloading, what: shownUrl(url) });
  return { blob, validators: validatorsOf(response) };
}

/** A model that is downloaded as it is read. */
export interface DownloadedModel {
  source: FileSetSource;
  /** The files that have come, by name, the main one first. */
  files: Map<string, Downloaded>;
}

/** Downloads a model's main file at once, and its others as the main one names them. */
export async function downloadModel(
  url: string,
  downloading: Downloading,
): Promise<DownloadedModel> {
  const files = new Map<string, Downloaded>();
  const get = async (name: string, address: string): Promise<RawFile | undefined> => {
    const found = files.get(name) ?? (await download(address, downloading));
    if (!found) return undefined;
    files.set(name, found);
    return { ...fromBlob(found.blob), name };
  };
  const name = nameOfUrl(url);
  const main = await get(name, url);
  if (!main) throw new ModelShrinkError(`${shownUrl(url)} gave HTTP status 404.`, "io");
  const open = (other: string) =>
    get(other, new URL(other.split("/").map(encodeURIComponent).join("/"), url).href);
  return { source: new FileSetSource({ main, open }), files };
}

/**
 * Asks the server whether a file is still the one of these validators. Where it does not say, only the size is compared.
 * Rejects when the server cannot be asked.
 */
export async function isUnchanged(
  url: string,
  { validators, size }: { validators: Validators; size: number },
  { headers, ...waiting }: Omit<Downloading, "onProgress">,
): Promise<boolean> {
  const response = await request(url, { method: "HEAD", cache: "no-cache", headers }, waiting);
  if (!response.ok) {
    throw new ModelShrinkError(`${shownUrl(url)} gave HTTP status ${response.status}.`, "io");
  }
  const now = validatorsOf(response);
  if (validators.etag && now.etag) return validators.etag === now.etag;
  if (validators.lastModified && now.lastModified)
    return validators.lastModified === now.lastModified;
  return Number(response.headers.get("content-length") ?? NaN) === size;
}
