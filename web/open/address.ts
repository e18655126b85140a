/** Addresses that visitors type. */
import { formatBytes } from "modelshrink";
import { besideUrl } from "../../bindings/js/files/url.js";
import type { Files } from "./files.js";

/** Gives the whole address; throws a sentence for what is none that a page can read. */
export function addressOf(text: string, base: string): string {
  let url: URL;
  try {
    url = new URL(text.trim(), base);
  } catch {
    throw new Error("it must look like https://example.com/model.onnx.");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error(`it must begin with https://, not with ${url.protocol}`);
  }
  url.hash = "";
  return url.href;
}

/** Gives the body of a response. Throws a sentence about `name` when it has more bytes than `maxBytes`. */
async function bodyOf(response: Response, name: string, maxBytes: number): Promise<Blob> {
  const tooLarge = () =>
    new Error(`${name} has more than the ${formatBytes(maxBytes)} that are left for it.`);
  if (Number(response.headers.get("content-length")) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  // A server need not say how much it sends, or may send more.
  let bytes = 0;
  const counted = response.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge();
        controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
      },
    }),
  );
  return new Response(counted).blob();
}

/**
 * Downloads a model whole: the file at its address, and those that it names beside it. `names` begins with the former.
 * Rejects where all of them together have more bytes than `maxBytes`, as soon as that is known.
 */
export async function downloadAll(
  address: string,
  names: readonly string[],
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
): Promise<Files> {
  const files: Record<string, Blob> = {};
  let left = maxBytes;
  for (const [i, name] of names.entries()) {
    const url = i === 0 ? address : besideUrl(name, address);
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`${name} cannot be downloaded: status ${response.status}.`);
    const file = await bodyOf(response, name, left);
    files[name] = file;
    left -= file.size;
  }
  return files;
}
