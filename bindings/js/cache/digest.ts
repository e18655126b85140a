/** What digests are on every platform. */

/** A SHA-256 of bytes that come in pieces. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** Gives the digest in hexadecimal digits, and begins anew. */
  take(): string;
}
