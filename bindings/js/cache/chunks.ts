import { chunksOfStream } from "../files/stream.js";

/** Gives a Blob's bytes in pieces, each of which is overwritten by the next one. */
export async function* chunksOf(blob: Blob): AsyncGenerator<Uint8Array> {
  const chunks = chunksOfStream(blob.stream(), { what: "The Blob", reuses: true });
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) return;
    yield value as Uint8Array;
  }
}
