/**
 * Sources that give their bytes once, from front to end: they are read into a Blob, whose memory is the platform's.
 */
import { ArgumentError, IntegrityError } from "../base/errors.js";
import { show } from "../base/options.js";
import { Pacer } from "../base/pace.js";
import { hasMethods, isA } from "../base/tags.js";

/** The bytes that are collected before the platform gets them: larger pieces would be in memory twice for longer. */
const batchBytes = 1 << 24;

interface StreamOptions {
  /** The stream's name in errors. */
  what: string;
  signal?: AbortSignal | undefined;
  /** The number of bytes that were announced; more are refused while they come, fewer at the end. */
  size?: number | undefined;
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

/**
 * Gives the chunks of a ReadableStream, or of whatever else can be iterated asynchronously, such as a Node.js
 * Readable.
 */
function chunksOf(stream: object, what: string): Chunks {
  if (hasMethods(stream, "getReader")) {
    const readable = stream as unknown as ReadableStream<unknown>;
    if (readable.locked) throw lockedError(what);
    const reader = readable.getReader();
    return { next: () => reader.read(), cancel: (reason) => reader.cancel(reason) };
  }
  const chunks = (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  return {
    next: () => chunks.next(),
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

/** Rejects with the signal's reason once it is aborted, otherwise never ends; `stop` ends the listening. */
function abortOf(signal: AbortSignal | undefined): { aborted: Promise<never>; stop: () => void } {
  let listener: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    listener = () => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the user's own reason
      reject(signal?.reason);
    };
    if (signal?.aborted) listener();
    else signal?.addEventListener("abort", listener);
  });
  aborted.catch(() => undefined);
  return { aborted, stop: () => signal?.removeEventListener("abort", listener) };
}

/** Appends what `chunks` give to a Blob. */
async function collect(
  chunks: Chunks,
  { what, size, signal }: StreamOptions,
  aborted: Promise<never>,
): Promise<Blob> {
  const pacer = new Pacer(signal);
  const parts: Blob[] = [];
  let batch: Uint8Array<ArrayBuffer>[] = [];
  let batched = 0;
  let total = 0;
  for (;;) {
    // A stream that is never waited for would let no abort through.
    await pacer.pause();
    const { done, value } = await Promise.race([chunks.next(), aborted]);
    if (done) break;
    const bytes = bytesOfChunk(value, what);
    total += bytes.length;
    batched += bytes.length;
    if (size !== undefined && total > size) {
      throw new IntegrityError(`${what} gave more than the ${size} bytes that were announced.`);
    }
    batch.push(bytes);
    if (batched >= batchBytes) {
      parts.push(new Blob(batch));
      batch = [];
      batched = 0;
    }
  }
  if (size !== undefined && total < size) {
    throw new IntegrityError(`${what} gave ${total} bytes instead of ${size}.`);
  }
  return new Blob([...parts, ...batch]);
}

/**
 * All that the stream gives. Memory: its bytes, and once more 16 MiB of them. A stream that fails, gives more or less
 * than was announced, or is no longer wanted is cancelled.
 */
export async function blobOfStream(stream: object, options: StreamOptions): Promise<Blob> {
  const { signal } = options;
  const chunks = chunksOf(stream, options.what);
  const { aborted, stop } = abortOf(signal);
  try {
    return await collect(chunks, options, aborted);
  } catch (error) {
    void chunks.cancel(error).catch(() => undefined);
    throw error;
  } finally {
    stop();
  }
}

/** Gives the bytes that these HTTP headers announce for the body; undefined where they do not, or it is encoded. */
export function announcedBytes(header: (name: string) => unknown): number | undefined {
  const encoding = header("content-encoding") ?? "identity";
  const length = header("content-length");
  const isPlain = typeof encoding === "string" && /^(identity)?$/i.test(encoding);
  return isPlain && typeof length === "string" && /^\d+$/.test(length) ? Number(length) : undefined;
}

/**
 * The body of a response. Pages may not see the Content-Encoding of another origin, so that nothing is known about
 * the length of such a body.
 */
export async function blobOfResponse(
  response: Response,
  what: string,
  signal?: AbortSignal,
): Promise<Blob> {
  if (response.bodyUsed) {
    throw new ArgumentError(`${what}: the response's body is already used.`);
  }
  // Some environments have no streams.
  const body = response.body as ReadableStream | null | undefined;
  if (!body) return new Blob([await response.arrayBuffer()]);
  const size =
    response.type === "cors" ? undefined : announcedBytes((name) => response.headers.get(name));
  return blobOfStream(body, { what, signal, size });
}
