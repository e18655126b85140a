/**
 * Sources that give their bytes once, from front to end: they are read into a Blob, whose memory is the platform's.
 */
import { formatBytes } from "../base/bytes.js";
import { callUser, isAbort } from "../base/door.js";
import {
  ArgumentError,
  IntegrityError,
  ModelShrinkError,
  UnsupportedError,
} from "../base/errors.js";
import { show } from "../base/options.js";
import { Pacer } from "../base/pace.js";
import { hasMethods, isA } from "../base/tags.js";
import type { ReadOptions } from "./raw.js";

/** The bytes that are collected before the platform gets them: larger pieces would be in memory twice for longer. */
const batchBytes = 1 << 24;

/** The most bytes of a body that did not announce how many it has, or that is packed. */
const maxUnknownBytes = 1 << 28;
/** A packed body may have this many times the announced bytes: weights are packed by far less. */
const maxPacking = 16;
/** The most bytes that are held in memory because they can be read only once. */
const maxHeldBytes = 2 ** 32;

/** The longest time in milliseconds that a server may say nothing, unless `timeoutMs` says another. */
const defaultTimeoutMs = 30_000;

/** The bytes that may come. */
export interface Bound {
  /** The number of bytes that were asked for or announced: more are refused while they come, fewer at the end. */
  size?: number | undefined;
  /** The most bytes, where their number is not known. */
  maxBytes: number;
}

interface ChunkOptions {
  /** The stream's name in errors. */
  what: string;
  /** Whether a chunk may be overwritten by the next one. */
  reuses?: boolean | undefined;
}

export interface StreamOptions extends ChunkOptions, ReadOptions, Bound {}

/**
 * Gives the result of `work`, which `what` may never end: rejects with the signal's reason, or by an "io" error when the
 * time is over, which is never for Infinity.
 */
export async function waitFor<T>(
  what: string,
  { signal, timeoutMs = defaultTimeoutMs }: ReadOptions,
  work: Promise<T>,
): Promise<T> {
  // It may fail when nobody waits any more.
  work.catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop: () => void = () => undefined;
  const end = new Promise<never>((_, reject) => {
    stop = () => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the user's own reason
      reject(signal?.reason);
    };
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    if (timeoutMs === Infinity) return;
    timer = setTimeout(() => {
      const text = `${what} gave nothing for ${timeoutMs / 1000} s (timeoutMs).`;
      reject(new ModelShrinkError(text, "io"));
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** The chunks of a stream, one after the other; `cancel` tells it that no more are wanted. */
interface Chunks {
  next(): Promise<{ done?: boolean | undefined; value?: unknown }>;
  cancel(reason: unknown): Promise<unknown>;
}

const lockedError = (what: string) =>
  new ArgumentError(
    `${what} is locked: another reader has it. Release that, or pass the stream before it is read.`,
  );

/** The bytes of a buffer that a stream fills again and again. */
const reusedBytes = 1 << 19;

/**
 * Gives the chunks of a stream of bytes in one buffer, each as long as the next one is not asked for: a buffer for each
 * would stay in memory until the garbage is collected, hundreds of megabytes later. Gives undefined for other streams.
 */
function reusedChunksOf(stream: object): Chunks | undefined {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = (stream as ReadableStream).getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
  let buffer = new ArrayBuffer(reusedBytes);
  return {
    async next() {
      const { done, value } = await callUser(() => reader.read(new Uint8Array(buffer)));
      if (value) buffer = value.buffer;
      return { done, value };
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

/**
 * Gives the chunks of a ReadableStream, or of whatever else can be iterated asynchronously, such as a Node.js
 * Readable.
 */
export function chunksOfStream(stream: object, { what, reuses }: ChunkOptions): Chunks {
  if (hasMethods(stream, "getReader")) {
    const readable = stream as unknown as ReadableStream<unknown>;
    if (readable.locked) throw lockedError(what);
    const reused = reuses ? reusedChunksOf(stream) : undefined;
    if (reused) return reused;
    const reader = readable.getReader();
    return { next: () => callUser(() => reader.read()), cancel: (reason) => reader.cancel(reason) };
  }
  const chunks = (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  return {
    next: () => callUser(() => chunks.next()),
    cancel: () => chunks.return?.() ?? Promise.resolve(),
  };
}

/** Gives a chunk as bytes; throws an ArgumentError for text or objects, which hold no model. */
function bytesOfChunk(chunk: unknown, what: string): Uint8Array<ArrayBuffer> {
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
  }
  if (isA(chunk, "ArrayBuffer")) return new Uint8Array(chunk as ArrayBuffer);
  throw new ArgumentError(`${what} gives ${show(chunk)}; its chunks must be bytes (Uint8Array).`);
}

/** Takes the next bytes, which may change when it has resolved; the stream waits for it. */
export type Take = (bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>;

/**
 * Passes on what the stream gives, as far as it is expected. A stream that fails, gives more or less than it may, is
 * silent for too long or no longer wanted is cancelled.
 */
export async function drain(stream: object, options: StreamOptions, take: Take): Promise<void> {
  const { what, size, maxBytes, signal } = options;
  const chunks = chunksOfStream(stream, options);
  const pacer = new Pacer(signal);
  let total = size ?? 0;
  try {
    if (total > maxBytes) throw tooMuch(what, maxBytes);
    total = 0;
    for (;;) {
      // A stream that is never waited for would let no abort through.
      await pacer.pause();
      const { done, value } = await waitFor(what, options, chunks.next());
      if (done) break;
      const bytes = bytesOfChunk(value, what);
      total += bytes.length;
      if (total > (size ?? Infinity)) {
        throw new IntegrityError(`${what} gave more than the ${size} bytes that were announced.`);
      }
      if (total > maxBytes) throw tooMuch(what, maxBytes);
      await take(bytes);
    }
    if (total < (size ?? 0)) {
      throw new IntegrityError(`${what} gave ${total} bytes instead of ${size}.`);
    }
  } catch (error) {
    void chunks.cancel(error).catch(() => undefined);
    throw error;
  }
}

const tooMuch = (what: string, maxBytes: number) =>
  new UnsupportedError(
    `${what} has more than ${formatBytes(maxBytes)}, the most that is held in memory: save it in a file, or pass ` +
      "a Blob.",
  );

/** Makes a Blob of what `give` passes on. Memory: its bytes, and once more 16 MiB of them. */
async function blobOf(give: (take: Take) => Promise<void>): Promise<Blob> {
  const parts: Blob[] = [];
  let batch: Uint8Array<ArrayBuffer>[] = [];
  let batched = 0;
  await give((bytes) => {
    batch.push(bytes);
    batched += bytes.length;
    if (batched < batchBytes) return;
    parts.push(new Blob(batch));
    batch = [];
    batched = 0;
  });
  return new Blob([...parts, ...batch]);
}

/** All that the stream gives. */
export const blobOfStream = (
  stream: object,
  options: ReadOptions & { what: string } & Partial<Bound>,
): Promise<Blob> => blobOf((take) => drain(stream, { maxBytes: maxHeldBytes, ...options }, take));

/**
 * Gives what these HTTP headers announce for the body. Where it is packed, or `mayBePacked` without a header that says
 * so, only the packed size is announced.
 */
export function announcedBy(
  header: (name: string) => unknown,
  mayBePacked = false,
  maxHeld = maxHeldBytes,
): Bound {
  const encoding = header("content-encoding") ?? "identity";
  const text = header("content-length");
  const length = typeof text === "string" && /^\d+$/.test(text) ? Number(text) : 0;
  const isPlain = typeof encoding === "string" && /^(identity)?$/i.test(encoding) && !mayBePacked;
  if (isPlain && text === String(length)) return { size: length, maxBytes: maxHeld };
  return { maxBytes: Math.min(Math.max(maxPacking * length, maxUnknownBytes), maxHeld) };
}

interface BodyOptions extends ChunkOptions, ReadOptions {}

function bodyOf(response: Response, what: string): ReadableStream | null | undefined {
  if (response.bodyUsed) {
    throw new ArgumentError(`${what}: the response's body is already used.`);
  }
  // Some environments have no streams.
  return response.body as ReadableStream | null | undefined;
}

/** Gives a failure in the middle of a body as an "io" error. */
async function received<T>({ what, signal }: BodyOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isEnd = isAbort(cause) || (signal?.aborted && cause === signal.reason);
    throw isEnd || cause instanceof ModelShrinkError ? cause : fetchError(what, cause);
  }
}

/**
 * Gives the response to a request, which `waiting` ends, a signal of the user's own request included, also before it is
 * sent; `what` is its address for errors. Rejects as {@link waitFor} does, or by an "io" error.
 */
export function fetchWithin(
  what: string,
  waiting: ReadOptions,
  url: string,
  init: Omit<RequestInit, "signal">,
): Promise<Response> {
  return received({ ...waiting, what }, async () => {
    // What is no longer wanted is not asked for.
    waiting.signal?.throwIfAborted();
    const controller = new AbortController();
    try {
      return await waitFor(what, waiting, fetch(url, { ...init, signal: controller.signal }));
    } catch (cause) {
      controller.abort();
      throw cause;
    }
  });
}

/** Tells the server that nothing more of the body is wanted. */
export const discard = (response: Response): void =>
  void response.body?.cancel().catch(() => undefined);

/** Makes the error of a request that failed; `what` is its address. */
export function fetchError(what: string, cause: unknown): ModelShrinkError {
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new ModelShrinkError(`Cannot fetch ${what}: ${String(reason)}`, "io", { cause });
}

/**
 * Passes on the body of a response. Pages may not see the Content-Encoding of another origin, so that nothing is known
 * about the length of such a body.
 *
 * @param maxHeld - The most bytes that may be announced.
 */
export function drainResponse(
  response: Response,
  options: BodyOptions,
  take: Take,
  maxHeld = maxHeldBytes,
): Promise<void> {
  return received(options, async () => {
    const body = bodyOf(response, options.what);
    if (!body) return take(new Uint8Array(await response.arrayBuffer()));
    const isForeign = response.type === "cors";
    const announced = announcedBy((name) => response.headers.get(name), isForeign, maxHeld);
    // Whoever made the response without a server knows its body.
    const isOwn = !response.url && announced.size === undefined;
    return drain(body, { ...options, ...(isOwn ? { maxBytes: maxHeld } : announced) }, take);
  });
}

/** The body of a response, whole. */
export const blobOfResponse = (response: Response, options: BodyOptions): Promise<Blob> =>
  blobOf((take) => drainResponse(response, options, take));

/** The body of a response that has exactly `size` bytes, or throws an IntegrityError. */
export function bytesOfResponse(
  response: Response,
  size: number,
  options: BodyOptions,
): Promise<Uint8Array> {
  return received(options, async () => {
    const body = bodyOf(response, options.what);
    const bytes = body ? new Uint8Array(size) : new Uint8Array(await response.arrayBuffer());
    let done = 0;
    await drain(
      body ?? new Blob([bytes]).stream(),
      { ...options, size, maxBytes: size, reuses: true },
      (it) => {
        bytes.set(it, done);
        done += it.length;
      },
    );
    return bytes;
  });
}
