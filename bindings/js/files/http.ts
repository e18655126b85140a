/** Files on a web server, read by HTTP range requests; whole where the server has no ranges. */
import { IntegrityError, statusError } from "../base/errors.js";
import { fromBlob } from "./blob.js";
import { checkRequest, waitingFor, wayOf } from "./request.js";
import type { RawFile, RawFileSet, ReadOptions } from "./raw.js";
import { blobOfResponse, bytesOfResponse, discard, fetchWithin } from "./stream.js";
import { besideUrl, decoded, nameOfUrl, shownUrl } from "./url.js";

/** The bytes that are asked for first: enough for most headers. */
const firstBytes = 65536;

interface ContentRange {
  begin: number;
  end: number;
  total: number;
}

function contentRangeOf(response: Response): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  if (!match) return undefined;
  const [begin, last, total] = match.slice(1).map(Number) as [number, number, number];
  const isSane = Number.isSafeInteger(total) && begin <= last && last < total;
  return isSane ? { begin, end: last + 1, total } : undefined;
}

/** Tells whether ranges of the body count encoded bytes, which nobody can decode from the middle. */
const isEncoded = (response: Response) =>
  !/^(identity)?$/i.test(response.headers.get("content-encoding") ?? "");

const versionOf = (response: Response) =>
  response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined;

/** Gives the header for the name and password of an address; undefined where it has none. */
function authorizationOf({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  const bytes = new TextEncoder().encode(`${decoded(username)}:${decoded(password)}`);
  return `Basic ${btoa(Array.from(bytes, (it) => String.fromCharCode(it)).join(""))}`;
}

/** Makes requests as the user's own one is made, where there is one: in the same way, and until its signal is aborted. */
class HttpClient {
  readonly #waiting: ReadOptions;
  readonly #template: Request | undefined;
  readonly #way: ReturnType<typeof wayOf> | undefined;
  readonly #authorization: string | undefined;

  /** `authorization` is the header of that name for all requests. */
  constructor(
    waiting: ReadOptions,
    template: Request | undefined,
    authorization: string | undefined,
  ) {
    this.#waiting = waitingFor(waiting, template);
    this.#template = template;
    this.#way = template && wayOf(template);
    this.#authorization = authorization;
  }

  /** The user's headers are for the address that they were given for, not for where that redirects to. */
  get followsRedirects(): boolean {
    return this.#template === undefined && this.#authorization === undefined;
  }

  /** Gives the digest that the user's request has of the whole file at its address: of others, and of ranges, it says nothing. */
  integrityOf(url: string): string | undefined {
    return url === this.#template?.url ? this.#way?.integrity : undefined;
  }

  /** Throws the reason of a signal that was aborted: what has come already is not wanted any more either. */
  throwIfAborted(): void {
    this.#waiting.signal?.throwIfAborted();
  }

  async get(url: string, range?: { offset: number; length: number }): Promise<Response> {
    const headers = new Headers(this.#way?.headers);
    headers.set("accept-encoding", "identity");
    if (this.#authorization !== undefined) headers.set("authorization", this.#authorization);
    if (range) headers.set("range", `bytes=${range.offset}-${range.offset + range.length - 1}`);
    const integrity = (range ? undefined : this.integrityOf(url)) ?? "";
    return fetchWithin(shownUrl(url), this.#waiting, url, { ...this.#way, integrity, headers });
  }

  /** Reads a body of exactly `size` bytes, or throws an IntegrityError. */
  bytes(response: Response, size: number, url: string): Promise<Uint8Array> {
    return bytesOfResponse(response, size, { ...this.#waiting, what: shownUrl(url) });
  }

  /** Reads the whole body; throws an IntegrityError when it is shorter or longer than the server announced. */
  async whole(response: Response, url: string): Promise<RawFile> {
    const what = shownUrl(url);
    if (!response.ok) throw statusError(what, response);
    const blob = await blobOfResponse(response, { ...this.#waiting, what });
    const version = versionOf(response);
    const file = fromBlob(blob);
    const read: RawFile["read"] = (offset, length) => {
      this.throwIfAborted();
      return file.read(offset, length);
    };
    return { ...file, read, ...(version === undefined ? {} : { version }) };
  }
}

/** A file whose server answered a range request with the range. */
class RangedFile implements RawFile {
  readonly name: string;
  readonly size: number;
  readonly version: string | undefined;
  readonly #client: HttpClient;
  readonly #url: string;
  /** The URL that redirects led to. */
  #finalUrl: string;
  readonly #first: Uint8Array;
  /** True once more than the first bytes were read: only then they may be of several versions. */
  #hasRead = false;

  constructor(
    client: HttpClient,
    url: string,
    response: Response,
    total: number,
    first: Uint8Array,
  ) {
    this.#client = client;
    this.#url = url;
    this.#finalUrl = (client.followsRedirects && response.url) || url;
    this.#first = first;
    this.name = nameOfUrl(url);
    this.size = total;
    this.version = versionOf(response);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#client.throwIfAborted();
    if (length === 0) return new Uint8Array(0);
    if (offset + length <= this.#first.length) return this.#first.subarray(offset, offset + length);
    this.#hasRead = true;
    const response = await this.#request(offset, length);
    const what = shownUrl(this.#url);
    const range = this.#rangeOf(response);
    if (!range) throw new IntegrityError(`${what} changed while it was read.`, { offset });
    if (range.begin !== offset || range.end !== offset + length) {
      discard(response);
      throw new IntegrityError(
        `${what} gave bytes ${range.begin}-${range.end - 1} where ` +
          `${offset}-${offset + length - 1} were asked.`,
        { offset },
      );
    }
    return this.#client.bytes(response, length, this.#url);
  }

  async isSame(): Promise<boolean> {
    if (!this.#hasRead) return true;
    const response = await this.#request(0, 1);
    discard(response);
    return this.#rangeOf(response) !== undefined;
  }

  async #request(offset: number, length: number): Promise<Response> {
    let response = await this.#client.get(this.#finalUrl, { offset, length });
    if (response.status === 403 && this.#finalUrl !== this.#url) {
      discard(response);
      // Redirects to signed addresses expire.
      response = await this.#client.get(this.#url, { offset, length });
      this.#finalUrl = response.url || this.#url;
    }
    if (response.ok) return response;
    discard(response);
    throw statusError(shownUrl(this.#url), response);
  }

  /** Gives the range of a response; undefined, and nothing more of it is read, when it is of another file. */
  #rangeOf(response: Response): ContentRange | undefined {
    const range = response.status === 200 ? undefined : contentRangeOf(response);
    const version = versionOf(response);
    const isOther = version !== undefined && this.version !== undefined && version !== this.version;
    if (range?.total === this.size && !isOther) return range;
    discard(response);
    return undefined;
  }
}

/** Opens a file; gives undefined when the server has none (404). */
async function openFile(client: HttpClient, url: string): Promise<RawFile | undefined> {
  // A digest is of the whole.
  const range = client.integrityOf(url) ? undefined : { offset: 0, length: firstBytes };
  const response = await client.get(url, range);
  const name = nameOfUrl(url);
  if (response.status === 200) return { ...(await client.whole(response, url)), name };
  const given = response.ok && !isEncoded(response) ? contentRangeOf(response) : undefined;
  if (given?.begin === 0 && given.end <= firstBytes) {
    const first = await client.bytes(response, given.end, url);
    return new RangedFile(client, url, response, given.total, first);
  }
  discard(response);
  if (response.status === 404) return undefined;
  const isEmpty = response.status === 416 && response.headers.get("content-range") === "bytes */0";
  if (isEmpty) return { name, size: 0, read: () => new Uint8Array(0) };
  if (!response.ok) throw statusError(shownUrl(url), response);
  if (given) {
    throw new IntegrityError(
      `${shownUrl(url)} gave bytes ${given.begin}-${given.end - 1} where 0-${firstBytes - 1} were asked.`,
    );
  }
  // A page may not see Content-Range of another origin unless that says so.
  return { ...(await client.whole(await client.get(url), url)), name };
}

/**
 * The file at `address` and its neighbours; `template` is the user's own request for it. Throws an ArgumentError for one
 * that cannot be repeated.
 */
export async function openUrl(
  address: URL,
  waiting: ReadOptions,
  template?: Request,
): Promise<RawFileSet> {
  if (template) checkRequest(template);
  const authorization = authorizationOf(address);
  // No request may have a password in its address.
  const url = new URL(address);
  url.username = url.password = "";
  const client = new HttpClient(waiting, template, authorization);
  const main = await openFile(client, url.href);
  if (!main) throw statusError(shownUrl(url.href), { status: 404 });
  return {
    main,
    // Each part of a name is one segment of the path, whatever characters it has.
    open: (name) => openFile(client, besideUrl(name, url)),
  };
}

/** Asks for the whole file at `address`, as `openUrl` does for parts of it; throws an "io" error for another status than success. */
export async function fetchWhole(
  address: URL,
  waiting: ReadOptions,
  template?: Request,
): Promise<Response> {
  if (template) checkRequest(template);
  const authorization = authorizationOf(address);
  const url = new URL(address);
  url.username = url.password = "";
  const response = await new HttpClient(waiting, template, authorization).get(url.href);
  if (response.ok) return response;
  discard(response);
  throw statusError(shownUrl(url.href), response);
}
