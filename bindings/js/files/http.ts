/** Files on a web server, read by HTTP range requests; whole where the server has no ranges. */
import { IntegrityError, ModelShrinkError } from "../base/errors.js";
import { fromBlob } from "./blob.js";
import type { RawFile, RawFileSet } from "./raw.js";
import { blobOfResponse } from "./stream.js";

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

/** `text` as an address, relative to `base` where that is given; undefined when it is none. */
export function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/** The last part of an address's path, decoded where that is possible. */
export function nameOfUrl(url: string): string {
  const name = new URL(url).pathname.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const statusError = (url: string, { status }: Response) =>
  new ModelShrinkError(`${url} gave HTTP status ${status}.`, "io");

/** Makes requests as the user's own one is made, where there is one: with its headers and credentials. */
class HttpClient {
  readonly #signal: AbortSignal | undefined;
  readonly #template: Request | undefined;

  constructor(signal: AbortSignal | undefined, template: Request | undefined) {
    this.#signal = signal;
    this.#template = template;
  }

  /** Headers of the user's own request are for the address that it names, not for where that redirects to. */
  get followsRedirects(): boolean {
    return this.#template === undefined;
  }

  async get(url: string, range?: { offset: number; length: number }): Promise<Response> {
    const headers = new Headers(this.#template?.headers);
    headers.set("accept-encoding", "identity");
    if (range) headers.set("range", `bytes=${range.offset}-${range.offset + range.length - 1}`);
    const init = this.#signal ? { headers, signal: this.#signal } : { headers };
    try {
      return await fetch(this.#template ? new Request(url, this.#template) : url, init);
    } catch (cause) {
      throw this.#failure(url, cause);
    }
  }

  async bytes(response: Response, url: string): Promise<Uint8Array> {
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (cause) {
      throw this.#failure(url, cause);
    }
  }

  /** Reads the whole body; throws an IntegrityError when it is shorter or longer than the server announced. */
  async whole(response: Response, url: string): Promise<RawFile> {
    if (!response.ok) throw statusError(url, response);
    let blob;
    try {
      blob = await blobOfResponse(response, url, this.#signal);
    } catch (cause) {
      throw cause instanceof ModelShrinkError ? cause : this.#failure(url, cause);
    }
    const version = versionOf(response);
    return { ...fromBlob(blob), ...(version === undefined ? {} : { version }) };
  }

  #failure(url: string, cause: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    return new ModelShrinkError(`Cannot fetch ${url}: ${String(reason)}`, "io", { cause });
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
    if (length === 0) return new Uint8Array(0);
    if (offset + length <= this.#first.length) return this.#first.subarray(offset, offset + length);
    const response = await this.#request(offset, length);
    const range = contentRangeOf(response);
    if (response.status === 200 || range?.total !== this.size || this.#isOther(response)) {
      throw new IntegrityError(`${this.#url} changed while it was read.`, { offset });
    }
    if (range.begin !== offset || range.end !== offset + length) {
      throw new IntegrityError(
        `${this.#url} gave bytes ${range.begin}-${range.end - 1} where ` +
          `${offset}-${offset + length - 1} were asked.`,
        { offset },
      );
    }
    return this.#client.bytes(response, this.#url);
  }

  async #request(offset: number, length: number): Promise<Response> {
    let response = await this.#client.get(this.#finalUrl, { offset, length });
    if (response.status === 403 && this.#finalUrl !== this.#url) {
      // Redirects to signed addresses expire.
      response = await this.#client.get(this.#url, { offset, length });
      this.#finalUrl = response.url || this.#url;
    }
    if (!response.ok) throw statusError(this.#url, response);
    return response;
  }

  #isOther(response: Response): boolean {
    const version = versionOf(response);
    return version !== undefined && this.version !== undefined && version !== this.version;
  }
}

/** Opens a file; gives undefined when the server has none (404). */
async function openFile(client: HttpClient, url: string): Promise<RawFile | undefined> {
  const response = await client.get(url, { offset: 0, length: firstBytes });
  if (response.status === 404) return undefined;
  const name = nameOfUrl(url);
  const isEmpty = response.status === 416 && response.headers.get("content-range") === "bytes */0";
  if (isEmpty) return { name, size: 0, read: () => new Uint8Array(0) };
  if (response.status === 200) return { ...(await client.whole(response, url)), name };
  if (!response.ok) throw statusError(url, response);
  const range = contentRangeOf(response);
  // A page may not see Content-Range of another origin unless that says so.
  if (!range || isEncoded(response)) {
    await response.body?.cancel();
    return { ...(await client.whole(await client.get(url), url)), name };
  }
  const first = await client.bytes(response, url);
  if (range.begin !== 0 || first.length !== range.end) {
    throw new IntegrityError(
      `${url} gave ${first.length} bytes for Content-Range 0-${range.end - 1}.`,
    );
  }
  return new RangedFile(client, url, response, range.total, first);
}

/** The file at `url` and its neighbours; `template` is the user's own request for it, whose method must be GET. */
export async function openUrl(
  url: URL,
  signal?: AbortSignal,
  template?: Request,
): Promise<RawFileSet> {
  const client = new HttpClient(signal, template);
  const main = await openFile(client, url.href);
  if (!main) throw new ModelShrinkError(`${url.href} gave HTTP status 404.`, "io");
  return {
    main,
    // Each part of a name is one segment of the path, whatever characters it has.
    open: (name) =>
      openFile(client, new URL(name.split("/").map(encodeURIComponent).join("/"), url).href),
  };
}
