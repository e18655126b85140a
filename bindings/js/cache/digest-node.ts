/** SHA-256 by Node.js. */
import { createHash } from "node:crypto";
import type { Digest } from "./digest.js";

/** Begins a digest. */
export function newDigest(): Promise<Digest> {
  let hash = createHash("sha256");
  return Promise.resolve({
    update: (bytes) => void hash.update(bytes),
    take() {
      const digits = hash.digest("hex");
      hash = createHash("sha256");
      return digits;
    },
  });
}
