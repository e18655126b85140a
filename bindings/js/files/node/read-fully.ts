import type { FileHandle } from "node:fs/promises";

/** `length` bytes at `offset`, or fewer where the file ends; the system may deliver them in pieces. */
export async function readFully(
  handle: FileHandle,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  // Not filled with zeros first; not of a pool, because others may keep or transfer it.
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return new Uint8Array(bytes.buffer, 0, done);
}
