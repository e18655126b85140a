/** SHA-256 in browsers, whose own cannot take a file in pieces. */
import { createSHA256 } from "hash-wasm";
import { chunksOf } from "./chunks.js";

/** Gives the SHA-256 of a Blob in hexadecimal digits, in memory that does not grow with it. */
export async function sha256Of(blob: Blob): Promise<string> {
  const hash = await createSHA256();
  for await (const bytes of chunksOf(blob)) hash.update(bytes);
  return hash.digest("hex");
}
