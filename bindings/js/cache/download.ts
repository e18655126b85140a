/** Models as they come from a server: each file is read once, from front to end, and checked against what was announced. */
import { callUser } from "../base/door.js";
import { IntegrityError, ModelShrinkError, statusError } from "../base/errors.js";
import { FileSetSource } from "../files/open.js";
import type { RawFile, ReadOptions } from "../files/raw.js";
import { announcedBy, discard, drainResponse, fetchWithin } from "../files/stream.js";
import { besideUrl, nameOfUrl, shownUrl } from "../files/url.js";
import { Arriving, Room } from "./arriving.js";
import type { Draft, DraftOf, DraftsOfModel, Validators } from "./drafts.js";
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

/** Downloads, with what they need. */
export interface Downloading extends ReadOptions {
  onProgress: ((progress: CacheProgress) => void) | undefined;
  /** How the main file is asked for, and the others but for its digest: headers, credentials and so on. */
  request: RequestInit;
  /** Where the files are while they come. */
  drafts: DraftsOfModel;
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

/** A response of which nothing was read, and the draft that its body goes on with. */
interface Begun {
  response: Response;
  draft: Draft;
}

/** Begins to download a file, or goes on with it; throws a StatusError when the server has none. */
async function begin(url: string, downloading: Downloading): Promise<Begun> {
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
    draft: drafts.begin(request.integrity ? undefined : draftOf(url, response)),
  };
}

/** Brings the body of a response to a file, and tells of it; what the app's own function throws ends it. */
async function receive(
  url: string,
  { response, draft }: Begun,
  file: Arriving,
  downloading: Downloading,
): Promise<void> {
  let thrown: { error: unknown } | undefined;
  const tell = (progress: Omit<CacheProgress, "name" | "file">) => {
    try {
      callUser(() => downloading.onProgress?.({ ...progress, name: url, file: file.name }));
    } catch (error) {
      thrown = { error };
      throw error;
    }
  };
  const size = draft.of?.size;
  const total = size ?? (numberIn(response, "content-length") || undefined);
  // Of a whole file only the packed size may be announced; a rest is of the range that was asked for.
  const restOf = file.loaded > 0 ? size : undefined;
  const wrongRest = () => new IntegrityError(`${shownUrl(url)} gave another rest than it said.`);
  const take = async (bytes: Uint8Array<ArrayBuffer>) => {
    if (file.loaded + bytes.length > (restOf ?? Infinity)) throw wrongRest();
    await file.take(bytes);
    const { loaded } = file;
    const share =
      total === undefined ? {} : { total, progress: Math.min(100, (100 * loaded) / total) };
    tell({ status: "progress", loaded, ...share });
  };
  try {
    tell({ status: "download" });
    const how = { ...downloading, what: shownUrl(url), reuses: true };
    if (file.loaded === size) discard(response);
    else await drainResponse(response, how, take, Infinity);
    if (restOf !== undefined && file.loaded !== restOf) throw wrongRest();
  } catch (error) {
    discard(response);
    // What the app's function threw looks like a body that failed.
    throw thrown ? thrown.error : error;
  }
}

/**
 * Begins to download a file; throws a StatusError when the server has none. Resolves when its size is known: at once where
 * the server says it, else, and where an earlier download goes on, when it has come.
 */
async function download(url: string, room: Room, downloading: Downloading): Promise<Arriving> {
  const begun = await begin(url, downloading);
  const { response, draft } = begun;
  const isRest = draft.loaded > 0;
  const size = isRest ? undefined : announcedBy((name) => response.headers.get(name)).size;
  const file = new Arriving(nameOfUrl(url), validatorsOf(response), draft, room.take(size), size);
  file.begin(() => receive(url, begun, file, downloading));
  try {
    if (size === undefined) await file.whole;
    return file;
  } catch (error) {
    if (!isRest || !(error instanceof IntegrityError)) throw error;
    await downloading.drafts.drop(draft);
    return download(url, room, downloading);
  }
}

/** The most files that come at once: while one ends, the line is another's. */
const maxAtOnce = 2;

const isNone = (error: unknown) => error instanceof StatusError && error.response.status === 404;

/** A model that is downloaded as it is read: its main file at once, and the others as that names them. */
export class ModelDownload {
  readonly #url: string;
  readonly #downloading: Downloading;
  readonly #room = new Room();
  /** The files that come, or have come, by name, the main one first. */
  readonly #files = new Map<string, Arriving>();
  /** The ends of those that come; none of them rejects. */
  readonly #coming = new Set<Promise<void>>();
  /** Why the main file does not come, once that is so. */
  failure: { error: unknown } | undefined;
  /** Whether a file did not come, or not as a whole. */
  isInterrupted = false;

  constructor(url: string, downloading: Downloading) {
    this.#url = url;
    this.#downloading = downloading;
  }

  /** Begins to download the main file; throws a StatusError when the server has none. */
  async begin(): Promise<void> {
    await this.#main();
  }

  #main(): Promise<RawFile> {
    return this.#get(nameOfUrl(this.#url), this.#url, this.#downloading);
  }

  /** Gives the model, which has begun to come: whoever reads what is not there waits for it. */
  async source(): Promise<FileSetSource> {
    const { request } = this.#downloading;
    const others = { ...this.#downloading, request: { ...request, integrity: "" } };
    const main = await this.#main();
    const open = (name: string) =>
      this.#get(name, besideUrl(name, this.#url), others).catch((error: unknown) => {
        if (isNone(error)) return undefined;
        throw error;
      });
    return new FileSetSource({ main, open });
  }

  async #get(name: string, url: string, downloading: Downloading): Promise<RawFile> {
    const known = this.#files.get(name);
    if (known) return { ...known.file(), name };
    while (this.#coming.size >= maxAtOnce) await Promise.race(this.#coming);
    const isMain = this.#files.size === 0;
    const fail = (error: unknown) => {
      this.isInterrupted ||= isMain || !isNone(error);
      if (isMain) this.failure = { error };
    };
    try {
      const file = await download(url, this.#room, downloading);
      this.#files.set(name, file);
      const end = file.whole.catch(fail).finally(() => this.#coming.delete(end));
      this.#coming.add(end);
      return { ...file.file(), name };
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  /** True while bytes are still to come. */
  get isComing(): boolean {
    return this.#coming.size > 0;
  }

  /** True when readers were told another size than a file turned out to have: what they made is of no use. */
  get isMisjudged(): boolean {
    return [...this.#files.values()].some((file) => file.isMisjudged);
  }

  /** Resolves when nothing more comes. */
  async settled(): Promise<void> {
    await Promise.all(this.#coming);
  }

  /** Resolves when all files that were asked for have come; throws when one has not, or had another size than it said. */
  async whole(): Promise<void> {
    for (const file of this.#files.values()) await file.whole;
    if (this.isMisjudged) throw new IntegrityError("A file has another size than was announced.");
  }

  /** The files that have come, by name, the main one first. */
  came(): [string, Arriving][] {
    return [...this.#files].filter(([, { isWhole }]) => isWhole);
  }
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
