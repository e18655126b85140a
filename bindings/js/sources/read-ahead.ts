import type { OpenFile } from "../source.js";

interface Ahead {
  offset: number;
  length: number;
  bytes: Promise<Uint8Array>;
}

/**
 * `file` for one reader: where its reads follow one another and are of one length, the next one runs while the
 * bytes of the last are worked on.
 */
export function readAhead(file: OpenFile): OpenFile {
  if (file.inMemory || file.isSerial) return file;
  let expected = { offset: -1, length: 0 };
  let ahead: Ahead | undefined;

  const start = (offset: number, length: number): Ahead => {
    const bytes = file.read(offset, length);
    // Whoever needs the bytes hears of it.
    bytes.catch(() => undefined);
    return { offset, length, bytes };
  };

  return {
    ...file,
    async read(offset, length) {
      const found = ahead;
      ahead = undefined;
      const isFound = found?.offset === offset && found.length >= length;
      const bytes = isFound
        ? (await found.bytes).subarray(0, length)
        : await file.read(offset, length);
      const isStream = offset === expected.offset && length === expected.length;
      expected = { offset: offset + length, length };
      const next = Math.min(length, file.size - expected.offset);
      if (isStream && next > 0) ahead = start(expected.offset, next);
      return bytes;
    },
  };
}
