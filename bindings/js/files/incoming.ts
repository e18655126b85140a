/** Bytes that come once, from front to end, for one reader, who is given as many as it asks for. */
import { FormatError, statusError } from "../base/errors.js";
import { isA } from "../base/tags.js";
import { comesOnce } from "./open.js";
import type { ReadOptions } from "./raw.js";
import { anyOf, waitingFor } from "./request.js";
import { announcedBy, drain, drainResponse, type Bound, type Take } from "./stream.js";
import { baseAddress, nameOfUrl, parseUrl, shownUrl } from "./url.js";

/** What comes; whoever brings it waits until it is read. */
export class Incoming {
  /** What has come and was not read. */
  #bytes: Uint8Array = new Uint8Array(0);
  #end: { error: unknown } | undefined;
  #isWanted: () => void = () => undefined;
  #hasCome: () => void = () => undefined;
  /** How many bytes were read. */
  #offset = 0;
  readonly #controller = new AbortController();
  #refuse: (reason: unknown) => void = () => undefined;

  /** `bring` passes on all there is, one piece after the other, until the signal is aborted. */
  constructor(bring: (take: Take, signal: AbortSignal) => Promise<void>) {
    const take = (bytes: Uint8Array) =>
      new Promise<void>((resolve, reject) => {
        this.#bytes = bytes;
        this.#isWanted = resolve;
        this.#refuse = reject;
        this.#hasCome();
      });
    void (async () => {
      try {
        await bring(take, this.#controller.signal);
        this.#end = { error: undefined };
      } catch (error) {
        this.#end = { error };
      }
      this.#hasCome();
    })();
  }

  /** Gives the next `length` bytes; throws a FormatError when there are fewer, or what made them end. */
  async read(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      if (!(await this.#more())) {
        throw new FormatError("The packed file is cut off.", { offset: this.#offset });
      }
      const piece = this.#bytes.subarray(0, length - done);
      bytes.set(piece, done);
      this.#bytes = this.#bytes.subarray(piece.length);
      done += piece.length;
      this.#offset += piece.length;
    }
    return bytes;
  }

  /** Resolves when there is more, with true, or at the end. */
  async #more(): Promise<boolean> {
    while (this.#bytes.length === 0) {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- it may be the user's own reason
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end) return false;
      const news = new Promise<void>((resolve) => (this.#hasCome = resolve));
      this.#isWanted();
      await news;
    }
    return true;
  }

  /** Throws a FormatError when there is more. */
  async checkEnd(): Promise<void> {
    if (!(await this.#more())) return;
    throw new FormatError("The packed file has more bytes than it needs.", {
      offset: this.#offset,
    });
  }

  /** Lets nothing more come. */
  stop(reason: unknown): void {
    this.#refuse(reason);
    this.#controller.abort(reason);
  }
}

/** A file that comes. */
export interface IncomingFile {
  name: string;
  /** Its size in bytes, where that was announced. */
  size: number | undefined;
  bytes: Incoming;
}

function ofResponse(response: Response, waiting: ReadOptions): IncomingFile {
  const what = response.url ? shownUrl(response.url) : "The response";
  if (!response.ok) throw statusError(what, response);
  const isForeign = response.type === "cors";
  const { size } = announcedBy((name) => response.headers.get(name), isForeign, Infinity);
  const bytes = new Incoming((take, own) => {
    const signal = anyOf(own, waiting.signal);
    return drainResponse(response, { ...waiting, signal, what, reuses: true }, take, Infinity);
  });
  const name = response.url && nameOfUrl(response.url);
  return { name: name || "The response", size, bytes };
}

function ofStream(stream: object, waiting: ReadOptions): IncomingFile {
  const { headers } = stream as { headers?: Readonly<Record<string, unknown>> };
  // Only servers are known to owe their bytes soon.
  const bound: Bound & ReadOptions = headers
    ? announcedBy((name) => headers[name], false, Infinity)
    : { timeoutMs: Infinity, maxBytes: Infinity };
  const bytes = new Incoming((take, own) => {
    const signal = anyOf(own, waiting.signal);
    const options = { ...waiting, ...bound, signal, what: "The stream", reuses: true };
    return drain(stream, options, take);
  });
  return { name: "The stream", size: bound.size, bytes };
}

/** Gives the http(s) address of a source; undefined for others, and for paths. */
function addressOf(source: unknown): URL | undefined {
  if (!isA(source, "URL", "Request") && typeof source !== "string") return undefined;
  const { href, url } = Object(source) as { href?: string; url?: string };
  const text = href ?? url ?? (source as string);
  const address = parseUrl(text, baseAddress());
  return address && /^https?:$/.test(address.protocol) ? address : undefined;
}

/**
 * Opens a file that comes from front to end: of a server, a response or a stream. Gives undefined for sources that can be
 * read at any place.
 */
export async function openIncoming(
  source: unknown,
  waiting: ReadOptions,
): Promise<IncomingFile | undefined> {
  const address = addressOf(source);
  if (address) {
    const { fetchWhole } = await import("./http.js");
    const template = isA(source, "Request") ? (source as Request) : undefined;
    const response = await fetchWhole(address, waiting, template);
    return ofResponse(response, waitingFor(waiting, template));
  }
  if (!comesOnce(source)) return undefined;
  if (isA(source, "Response")) return ofResponse(source as Response, waiting);
  return ofStream(source as object, waiting);
}
