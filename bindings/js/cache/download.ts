/** Models as they come from a server: each file is read once, from front to end, and checked against what was announced. */
import { callUser } from "../base/door.js";
import { ModelShrinkError } from "../base/errors.js";
import { fromBlob } from "../files/blob.js";
import { FileSetSource } from "../files/open.js";
import type { RawFile, ReadOptions } from "../files/raw.js";
import { blobOfResponse, fetchWithin } from "../files/stream.js";
import { besideUrl, nameOfUrl, shownUrl } from "../files/url.js";
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

/** A server's refusal. */
export class StatusError extends ModelShrinkError {
  /** What it said, without the body. */
  readonly response: Response;

  constructor(url: string, response: Response) {
    super(`${shownUrl(url)} gave HTTP status ${response.status}.`, "io");
    void response.body?.cancel().catch(() => undefined);
    const { status, statusText, headers } = response;
    this.response = new Response(null, { status, statusText, headers });
  }
}

/** Downloads, with what they need. */
export interface Downloading extends ReadOptions {
  onProgress: ((progress: CacheProgress) => void) | undefined;
  /** How the main file is asked for, and the others but for its digest: headers, credentials and so on. */
  request: RequestInit;
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

/** Downloads a file; throws a StatusError when the server has none. */
async function download(url: string, downloading: Downloading): Promise<Downloaded> {
  const response = await fetchWithin(shownUrl(url), downloading, url, downloading.request);
  if (response.status !== 200) throw new StatusError(url, response);
  const { onProgress } = downloading;
  const names = { name: url, file: nameOfUrl(url) };
  let thrown: { error: unknown } | undefined;
  const tell = (progress: Omit<CacheProgress, "name" | "file">) => {
    try {
      callUser(() => onProgress?.({ ...progress, ...names }));
    } catch (error) {
      thrown = { error };
      throw error;
    }
  };
  tell({ status: "download" });
  const body = counted(response, (loaded, total) => {
    const share =
      total === undefined ? {} : { total, progress: Math.min(100, (100 * loaded) / total) };
    tell({ status: "progress", loaded, ...share });
  });
  try {
    const blob = await blobOfResponse(body, { ...downloading, what: shownUrl(url) });
    return { blob, validators: validatorsOf(response) };
  } catch (error) {
    // What the app's function threw looks like a body that failed.
    throw thrown ? thrown.error : error;
  }
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
  const get = async (name: string, from: string, how: Downloading): Promise<RawFile> => {
    const found = files.get(name) ?? (await download(from, how));
    files.set(name, found);
    return { ...fromBlob(found.blob), name };
  };
  const main = await get(nameOfUrl(url), url, downloading);
  const others = { ...downloading, request: { ...downloading.request, integrity: "" } };
  const open = (name: string) =>
    get(name, besideUrl(name, url), others).catch((error: unknown) => {
      if (error instanceof StatusError && error.response.status === 404) return undefined;
      throw error;
    });
  return { source: new FileSetSource({ main, open }), files };
}

/** What is known of a file that came. */
export interface CameFile {
  name: string;
  validators: Validators;
  /** The size in bytes. */
  size: number;
}

/** An ETag without the mark of one that a server has weakened, by packing the body, say. */
const strong = (etag: string) => etag.replace(/^W\//, "");

/**
 * Asks the server whether a file is still the one that came. Where it does not say, only the size is compared. Rejects
 * when the server cannot be asked.
 */
export async function isUnchanged(
  url: string,
  { validators, size }: Omit<CameFile, "name">,
  { request: how, ...waiting }: Omit<Downloading, "onProgress">,
): Promise<boolean> {
  const ask = (init: RequestInit) => fetchWithin(shownUrl(url), waiting, url, init);
  const init: RequestInit = { ...how, integrity: "", cache: "no-cache" };
  let response = await ask({ ...init, method: "HEAD" });
  // Some servers, and addresses that are signed for one method, refuse HEAD.
  if (!response.ok) response = await ask(init);
  if (!response.ok) throw new StatusError(url, response);
  void response.body?.cancel().catch(() => undefined);
  const now = validatorsOf(response);
  if (validators.etag && now.etag) return strong(validators.etag) === strong(now.etag);
  if (validators.lastModified && now.lastModified)
    return validators.lastModified === now.lastModified;
  return Number(response.headers.get("content-length") ?? NaN) === size;
}
