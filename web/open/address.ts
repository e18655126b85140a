/** Addresses that visitors type. */
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

/** Downloads a model whole: the file at its address, and those that it names beside it. `names` begins with the former. */
export async function downloadAll(
  address: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Files> {
  const files: Record<string, Blob> = {};
  for (const [i, name] of names.entries()) {
    const url = i === 0 ? address : new URL(encodeURI(name), address);
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`${name} cannot be downloaded: status ${response.status}`);
    files[name] = await response.blob();
  }
  return files;
}
