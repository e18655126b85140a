/** Models as they come from a server: each file is read once, from front to end, and checked against what was announced. */
import { callUser } from "../base/door.js";
import { IntegrityError, ModelShrinkError, statusError } from "../base/errors.js";
import { fromBlob } from "../files/blob.js";
import { FileSetSource } from "../files/open.js";
import type { RawFile, ReadOptions } from "../files/raw.js";
import { discard, drainResponse, fetchWithin } from "../files/stream.js";
import { besideUrl, nameOfUrl, shownUrl } from "../files/url.js";
import type { Draft, DraftOf, DraftsOfModel, Validators } from "./drafts.js";
import { PartWriter } from "./parts.js";
import type { CacheProgress } from "./types.js";

const validatorsOf = ({ headers }: Response): Validators => {
  const [etag, lastModified] = [headers.get("etag"), headers.get("last-modified")];
  return { ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) };
};

/** A server's refusal. */
export class StatusError extends ModelShrinkError {
  /** What it said, without the body. */
  readonly response: Response;

  constructor(url: string, response: Response) {
    super(statusError(shownUrl(url), response).message, "io");
    discard(response);
    const { status, statusText, headers } = response;
    this.response = new Response(null, { status, statusText, headers });
  }
}

/**
 * Room in memory for the files of a model: what has come is kept in the store, but reading it from there again, twice by
 * most recipes, takes longer than shrinking it.
 */
class Room {
  #left = 1 << 26;

  /** Gives memory for a file of this size; undefined when there is not as much. */
  take(size: number | undefined): Uint8Array | undefined {
    if (size === undefined || size > this.#left) return undefined;
    try {
      const bytes = new Uint8Array(size);
      this.#left -= size;
      return bytes;
    } catch {
      return undefined;
    }
  }
}

/** Downloads, with what they need. */
export interface Downloading extends ReadOptions {
  onProgress: ((progress: CacheProgress) => void) | undefined;
  /** How the main file is asked for, and the others but for its digest: headers, credentials and so on. */
  request: RequestInit;
  /** Where the files are while they come. */
  drafts: DraftsOfModel;
}

/** Downloads of one model. */
interface OfModel extends Downloading {
  room: Room;
}

/** Gives a header's whole number; undefined where it is none. */
function numberIn(response: Response, name: string): number | undefined {
  const text = response.headers.get(name) ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A date may stand for two versions of one second: what is newer says nothing for sure. */
const surelyOld = (date: string) => Date.now() - Date.parse(date) > 60_000;

/** Gives the one validator that tells surely whether a file is the same to the last byte; undefined where there is none. */
function sureOf({ etag, lastModified }: Validators): string | undefined {
  if (etag !== undefined && !etag.startsWith("W/")) return etag;
  return lastModified !== undefined && surelyOld(lastModified) ? lastModified : undefined;
}

/** Says what a response is of, where a later request can go on with its body. */
function draftOf(url: string, response: Response): DraftOf | undefined {
  const size = numberIn(response, "content-length");
  const validators = validatorsOf(response);
  const isPacked = !/^(identity)?$/i.test(response.headers.get("content-encoding") ?? "");
  const canGoOn = size && !isPacked && sureOf(validators) !== undefined;
  return canGoOn ? { url, validators, size } : undefined;
}

/** Tells whether a response is what an earlier one did not give, from the byte `begin` to the end. */
function goesOn(response: Response, { validators, size }: DraftOf, begin: number): boolean {
  const range = `bytes ${begin}-${size - 1}/${size}`;
  const sure = sureOf(validators);
  return (
    response.status === 206 &&
    response.headers.get("content-range") === range &&
    sure !== undefined &&
    sure === sureOf(validatorsOf(response))
  );
}

/** Tells whether an address is of another origin than the page, whose server would be asked whether it allows If-Range. */
function isForeign(url: string): boolean {
  const { origin } = globalThis as { origin?: string };
  return origin !== undefined && origin !== new URL(url).origin;
}

/** Asks for what is not there yet of a file that has begun to come; gives undefined when it has to come anew. */
async function askForRest(
  url: string,
  draft: Draft,
  downloading: Downloading,
): Promise<Response | undefined> {
  const of = draft.of!;
  // Of a file that is there, the last byte tells whether it is the same.
  const begin = Math.min(draft.loaded, of.size - 1);
  const headers = new Headers(downloading.request.headers);
  headers.set("range", `bytes=${begin}-`);
  if (!isForeign(url)) headers.set("if-range", sureOf(of.validators)!);
  const response = await ask(url, downloading, { ...downloading.request, headers });
  if (goesOn(response, of, begin)) return response;
  // Whoever has no ranges gives the whole.
  if (response.status === 200) return response;
  // Whoever is busy may give the rest later; what else is said may be of the range alone.
  if (response.status === 429 || response.status >= 500) throw new StatusError(url, response);
  discard(response);
  return undefined;
}

const ask = (url: string, waiting: ReadOptions, init: RequestInit) =>
  fetchWithin(shownUrl(url), waiting, url, init);

/** A file that came. */
interface Downloaded {
  blob: Blob;
  /** The same in memory, where there was room. */
  copy: Uint8Array | undefined;
  validators: Validators;
}

/** Gives a file that came to be read. */
const rawFileOf = ({ blob, copy }: Downloaded): RawFile =>
  copy
    ? {
        ...{ size: copy.length, inMemory: true },
        read: (offset, length) => copy.subarray(offset, offset + length),
      }
    : fromBlob(blob);

/** Begins to download a file, or goes on with it; throws a StatusError when the server has none. */
async function begin(
  url: string,
  downloading: Downloading,
): Promise<{ response: Response; draft: Draft }> {
  const { drafts, request } = downloading;
  // A digest of the whole says nothing of the rest.
  const earlier = request.integrity ? undefined : await drafts.find(url);
  const rest = earlier && (await askForRest(url, earlier, downloading));
  if (earlier && rest?.status === 206) return { response: rest, draft: earlier };
  const response = rest ?? (await ask(url, downloading, request));
  if (response.status !== 200) throw new StatusError(url, response);
  if (earlier) await drafts.drop(earlier);
  return {
    response,
    draft: await drafts.begin(request.integrity ? undefined : draftOf(url, response)),
  };
}

/** Downloads a file; throws a StatusError when the server has none. */
async function download(url: string, downloading: OfModel): Promise<Downloaded> {
  const { response, draft } = await begin(url, downloading);
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
  const validators = validatorsOf(response);
  const total = draft.of?.size ?? (numberIn(response, "content-length") || undefined);
  const isWhole = draft.loaded === draft.of?.size;
  // Of a whole file only the packed size may be announced; a rest is of the range that was asked for.
  const isRest = draft.loaded > 0;
  const wrongRest = () => new IntegrityError(`${shownUrl(url)} gave another rest than it said.`);
  let { loaded } = draft;
  let copy = isRest ? undefined : downloading.room.take(draft.of?.size);
  const writer = new PartWriter((part, sha256) => draft.add(part, sha256));
  try {
    tell({ status: "download" });
    if (isWhole) discard(response);
    else {
      await drainResponse(
        response,
        { ...downloading, what: shownUrl(url), reuses: true },
        async (bytes) => {
          // Of a packed body of another origin the packed size is announced.
          if (copy && loaded + bytes.length > copy.length) copy = undefined;
          copy?.set(bytes, loaded);
          loaded += bytes.length;
          if (isRest && loaded > total!) throw wrongRest();
          await writer.add(bytes);
          const share =
            total === undefined ? {} : { total, progress: Math.min(100, (100 * loaded) / total) };
          tell({ status: "progress", loaded, ...share });
        },
        Infinity,
      );
    }
    await writer.flush();
    if (isRest && loaded !== total) throw wrongRest();
    return { blob: draft.blob(), copy: copy?.length === loaded ? copy : undefined, validators };
  } catch (error) {
    discard(response);
    // What came is not lost.
    await writer.flush();
    if (isRest && !thrown && error instanceof IntegrityError) {
      await downloading.drafts.drop(draft);
      return download(url, downloading);
    }
    // What the app's function threw looks like a body that failed.
    throw thrown ? thrown.error : error;
  }
}

/** A model that is downloaded as it is read. */
export interface DownloadedModel {
  source: FileSetSource;
  /** The files that have come, by name, the main one first. */
  files: Map<string, Downloaded>;
  /** Whether a file did not come, or not as a whole. */
  isInterrupted: () => boolean;
}

/** Downloads a model's main file at once, and its others as the main one names them. */
export async function downloadModel(
  url: string,
  downloading: Downloading,
): Promise<DownloadedModel> {
  const files = new Map<string, Downloaded>();
  let isInterrupted = false;
  const interrupted = async (error: unknown): Promise<never> => {
    const isNone = error instanceof StatusError && error.response.status === 404;
    isInterrupted ||= !isNone;
    // A later call goes on where this one ended.
    if (!isNone) await downloading.drafts.leave();
    throw error;
  };
  const room = new Room();
  const get = async (name: string, from: string, how: Downloading): Promise<RawFile> => {
    const found = files.get(name) ?? (await download(from, { ...how, room }).catch(interrupted));
    files.set(name, found);
    return { ...rawFileOf(found), name };
  };
  const main = await get(nameOfUrl(url), url, downloading);
  const others = { ...downloading, request: { ...downloading.request, integrity: "" } };
  const open = (name: string) =>
    get(name, besideUrl(name, url), others).catch((error: unknown) => {
      if (error instanceof StatusError && error.response.status === 404) return undefined;
      throw error;
    });
  const source = new FileSetSource({ main, open });
  return { source, files, isInterrupted: () => isInterrupted };
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
  { request: how, ...waiting }: Omit<Downloading, "onProgress" | "drafts">,
): Promise<boolean> {
  const init: RequestInit = { ...how, integrity: "", cache: "no-cache" };
  let response = await ask(url, waiting, { ...init, method: "HEAD" });
  // Some servers, and addresses that are signed for one method, refuse HEAD.
  if (!response.ok) response = await ask(url, waiting, init);
  if (!response.ok) throw new StatusError(url, response);
  discard(response);
  const now = validatorsOf(response);
  if (validators.etag && now.etag) return strong(validators.etag) === strong(now.etag);
  if (validators.lastModified && now.lastModified)
    return validators.lastModified === now.lastModified;
  return Number(response.headers.get("content-length") ?? NaN) === size;
}
