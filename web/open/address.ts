/** Addresses that visitors type. */

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
