/** SHA-256 in browsers, whose own cannot take a file in pieces. */
import { createSHA256 } from "hash-wasm";
import type { Digest } from "./digest.js";

/** Begins a digest. */
export async function newDigest(): Promise<Digest> {
  const hash = await createSHA256();
  return {
    update: (bytes) => void hash.update(bytes),
    take() {
      const digits = hash.digest("hex");
      hash.init();
      return digits;
    },
  };
}
