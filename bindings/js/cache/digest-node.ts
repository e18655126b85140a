/** SHA-256 by Node.js, on a thread of its own. */
import { hexOf } from "../base/hex.js";

/** Gives the SHA-256 of bytes, which must not change meanwhile, in hexadecimal digits. */
export const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hexOf(await crypto.subtle.digest("SHA-256", bytes));
