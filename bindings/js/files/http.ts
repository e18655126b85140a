/** Files on a web server, read by HTTP range requests; whole where the server has no ranges. */
import { IntegrityError, ModelShrinkError } from "../base/errors.js";
import { fromBlob } from "./blob.js";
import type { RawFile, RawFileSet } from "./raw.js";

/** Asked first: enough for most headers. */
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

/** Ranges of an encoded body count encoded bytes, which nobody can decode from the middle. */
const isEncoded = (response: Response) =>
  !/^(identity)?$/i.test(response.headers.get("content-encoding") ?? "");

const versionOf = (response: Response) =>
  response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined;

const nameOf = (url: string) => decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");

const statusError = (url: string, { status }: Response) =>
  new ModelShrinkError(`${url} gave HTTP status ${status}.`, "io");

class HttpClient {
  readonly #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  async get(url: string, range?: { offset: number; length: number }): Promise<Response> {
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (range) headers.range = `bytes=${range.offset}-${range.offset + range.length - 1}`;
    try {
      return await fetch(url, this.#signal ? { headers, signal: this.#signal } : { headers });
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

  /** The whole body; its length must be what the server announced. */
  async whole(response: Response, url: string): Promise<RawFile> {
    if (!response.ok) throw statusError(url, response);
    let blob;
    try {
      blob = await response.blob();
    } catch (cause) {
      throw this.#failure(url, cause);
    }
    const announced = response.headers.get("content-length");
    if (announced !== null && !isEncoded(response) && Number(announced) !== blob.size) {
      throw new IntegrityError(`${url} gave ${blob.size} bytes instead of ${announced}.`);
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

/** A file whose server answered a range request with that range. */
class RangedFile implements RawFile {
  readonly name: string;
  readonly size: number;
  readonly version: string | undefined;
  readonly #client: HttpClient;
  readonly #url: string;
  /** Where redirects led to. */
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
    this.#finalUrl = response.url || url;
    this.#first = first;
    this.name = nameOf(url);
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

/** undefined: there is no such file (404). */
async function openFile(client: HttpClient, url: string): Promise<RawFile | undefined> {
  const response = await client.get(url, { offset: 0, length: firstBytes });
  if (response.status === 404) return undefined;
  const name = nameOf(url);
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

export async function openUrl(url: URL, signal?: AbortSignal): Promise<RawFileSet> {
  const client = new HttpClient(signal);
  const main = await openFile(client, url.href);
  if (!main) throw new ModelShrinkError(`${url.href} gave HTTP status 404.`, "io");
  return {
    main,
    // Each part of a name is one segment of the path, whatever characters it has.
    open: (name) =>
      openFile(client, new URL(name.split("/").map(encodeURIComponent).join("/"), url).href),
  };
}
