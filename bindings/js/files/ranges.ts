/** Byte ranges as the core counts them: over all files of a model, one after the other. */
import { ModelShrinkError } from "../base/errors.js";
import type { CoreRange } from "../core/types.js";
import { ownBytes, type OpenFile } from "./source.js";

/** Reads a range; with `isOwn` the result may be kept, changed or transferred. */
export type ReadRange = (range: CoreRange, isOwn?: boolean) => Promise<Uint8Array>;

/** Cuts a range, which may run over the end of a file, into ranges of single files. */
function* piecesOf(
  files: readonly OpenFile[],
  range: CoreRange,
): Generator<[OpenFile, number, number]> {
  let { file: index, offset, size } = range;
  while (size > 0) {
    const file = files[index];
    if (!file) throw new ModelShrinkError("The core asked for bytes past the end.", "internal");
    const piece = Math.min(size, Math.max(file.size - offset, 0));
    if (piece > 0) yield [file, offset, piece];
    offset = Math.max(offset - file.size, 0);
    size -= piece;
    index++;
  }
}

/** Gives a reader of files that reads each range when it is asked for. */
export function rangesOf(files: readonly OpenFile[]): ReadRange {
  return async (range, isOwn = false) => {
    const pieces = [...piecesOf(files, range)];
    const parts = await Promise.all(pieces.map(([file, offset, size]) => file.read(offset, size)));
    const [first] = pieces;
    const [only] = parts;
    if (first && only && parts.length === 1) return isOwn ? ownBytes(first[0], only) : only;
    const bytes = new Uint8Array(range.size);
    let done = 0;
    for (const part of parts) {
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  };
}

interface Ahead {
  begin: number;
  size: number;
  bytes: Promise<Uint8Array>;
}

/**
 * Gives a reader of files for one user: where its ranges follow one another and are of one size, the next one is
 * read while the bytes of the last are worked on.
 */
export function rangesAheadOf(files: readonly OpenFile[]): ReadRange {
  const read = rangesOf(files);
  if (files.some(({ inMemory, isSerial }) => inMemory || isSerial)) return read;
  const begins = [0];
  for (const { size } of files) begins.push(begins.at(-1)! + size);
  const total = begins.at(-1)!;
  let expected = { begin: -1, size: 0 };
  let ahead: Ahead | undefined;

  const start = (begin: number, size: number): Ahead => {
    const bytes = read({ file: 0, offset: begin, size }, true);
    // Whoever needs the bytes hears of it.
    bytes.catch(() => undefined);
    return { begin, size, bytes };
  };

  const take = async ({ size, bytes }: Ahead, wanted: number): Promise<Uint8Array> =>
    size === wanted ? bytes : (await bytes).slice(0, wanted);

  return async (range, isOwn) => {
    const { size } = range;
    const begin = begins[range.file]! + range.offset;
    const found = ahead;
    ahead = undefined;
    const isFound = found?.begin === begin && found.size >= size;
    const bytes = isFound ? await take(found, size) : await read(range, isOwn);
    const isStream = begin === expected.begin && size === expected.size;
    expected = { begin: begin + size, size };
    const next = Math.min(size, total - expected.begin);
    if (isStream && next > 0) ahead = start(expected.begin, next);
    return bytes;
  };
}

/** The first part of a range, in bytes: enough to begin with. */
const firstPart = 1 << 19;

/** A range of more bytes is read bit by bit. */
const maxRange = 1 << 25;

/**
 * Gives a reader of a range of one file, which is read at once, its first part before the rest: where each read is a way
 * to another thread and back.
 */
export function withinRange(read: ReadRange, begin: number, end: number): ReadRange {
  if (end - begin > maxRange) return read;
  const middle = Math.min(begin + firstPart, end);
  const start = (from: number, to: number) => {
    const bytes = read({ file: 0, offset: from, size: to - from }, true);
    // Whoever needs the bytes hears of it.
    bytes.catch(() => undefined);
    return bytes;
  };
  const first = start(begin, middle);
  const rest = middle < end ? start(middle, end) : Promise.resolve(new Uint8Array(0));
  return async ({ offset, size }) => {
    if (offset + size <= middle)
      return (await first).subarray(offset - begin, offset + size - begin);
    if (offset >= middle) return (await rest).subarray(offset - middle, offset + size - middle);
    const bytes = new Uint8Array(size);
    bytes.set((await first).subarray(offset - begin));
    bytes.set((await rest).subarray(0, offset + size - middle), middle - offset);
    return bytes;
  };
}
