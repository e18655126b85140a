/** SHA-256 in browsers. */
import { sha256 as sha256Here } from "hash-wasm";
import { hexOf } from "../base/hex.js";

/**
 * Gives the SHA-256 of bytes, which must not change meanwhile, in hexadecimal digits. The browser works on a thread of its
 * own, several times as fast as WebAssembly; pages that are neither on https nor on localhost do without.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = crypto as Partial<Crypto>;
  return subtle ? hexOf(await subtle.digest("SHA-256", bytes)) : sha256Here(bytes);
}
