/** SHA-256 by Node.js. */
import { createHash } from "node:crypto";
import { chunksOf } from "./chunks.js";

/** Gives the SHA-256 of a Blob in hexadecimal digits, in memory that does not grow with it. */
export async function sha256Of(blob: Blob): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of chunksOf(blob)) hash.update(bytes);
  return hash.digest("hex");
}
