/** Zip archives, stored or deflated, with zip64; nothing of one is believed before it is checked. */
import * as zlib from "node:zlib";
import { FormatError, IntegrityError, UnsupportedError } from "../../base/errors.js";
import { maxSampleBytes } from "./arrays.js";

const endSize = 22;
const maxCommentSize = 0xffff;
const locatorSize = 20;
const end64Size = 56;
const entrySize = 46;
const localSize = 30;
const signatures = {
  local: 0x04034b50,
  entry: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator: 0x07064b50,
};

/** A file of an archive. `content` unpacks it, and throws where it is not what the archive says. */
export interface ZipFile {
  name: string;
  content: () => Uint8Array;
}

interface Entry {
  name: string;
  method: number;
  checksum: number;
  packedSize: number;
  size: number;
  /** The byte where its local header begins. */
  offset: number;
}

/** The bytes of an archive, read with checks. */
class Archive {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(what: string, bytes: Uint8Array) {
    this.what = what;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  broken(reason: string): FormatError {
    return new FormatError(`${this.what} is no whole zip archive: ${reason}.`);
  }

  /** `length` bytes at `offset`, which must be there. */
  at(offset: number, length: number): Uint8Array {
    if (
      !Number.isSafeInteger(offset + length) ||
      offset < 0 ||
      offset + length > this.bytes.length
    ) {
      throw this.broken(`${length} bytes at ${offset} lie outside of it`);
    }
    return this.bytes.subarray(offset, offset + length);
  }

  u16(offset: number): number {
    this.at(offset, 2);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    this.at(offset, 4);
    return this.#view.getUint32(offset, true);
  }

  /** Sizes that a number cannot hold are too large for any file. */
  u64(offset: number): number {
    this.at(offset, 8);
    return Number(this.#view.getBigUint64(offset, true));
  }

  expect(offset: number, signature: number, part: string): void {
    if (this.u32(offset) !== signature) throw this.broken(`there is no ${part} at ${offset}`);
  }
}

/** Gives the byte where the archive's end record begins: its comment reaches to the last byte. */
function endOf(archive: Archive): number {
  const { length } = archive.bytes;
  const first = Math.max(0, length - endSize - maxCommentSize);
  for (let at = length - endSize; at >= first; at--) {
    const isEnd = archive.u32(at) === signatures.end;
    if (isEnd && at + endSize + archive.u16(at + 20) === length) return at;
  }
  throw archive.broken("it has no end record");
}

/** Gives the number of the directory's entries, and the byte where it begins. */
function directoryOf(archive: Archive): { count: number; offset: number } {
  const end = endOf(archive);
  const [count, offset] = [archive.u16(end + 10), archive.u32(end + 16)];
  if (count !== 0xffff && offset !== 0xffffffff) return { count, offset };
  const locator = end - locatorSize;
  archive.expect(locator, signatures.locator, "zip64 locator");
  const end64 = archive.u64(locator + 8);
  archive.at(end64, end64Size);
  archive.expect(end64, signatures.end64, "zip64 end record");
  return { count: archive.u64(end64 + 32), offset: archive.u64(end64 + 48) };
}

/** The sizes and the offset of an entry, from its zip64 field where the plain ones are full. */
function placeOf(archive: Archive, at: number, extra: number, extraSize: number) {
  const place = { size: 0, packedSize: 0, offset: 0 };
  const plain = { size: at + 24, packedSize: at + 20, offset: at + 42 };
  let field = extra;
  while (field + 4 <= extra + extraSize && archive.u16(field) !== 1) {
    field += 4 + archive.u16(field + 2);
  }
  let wide = field + 4;
  for (const key of ["size", "packedSize", "offset"] as const) {
    place[key] = archive.u32(plain[key]);
    if (place[key] !== 0xffffffff) continue;
    if (wide + 8 > extra + extraSize) throw archive.broken("a zip64 field is missing");
    place[key] = archive.u64(wide);
    wide += 8;
  }
  return place;
}

function entriesOf(archive: Archive): Entry[] {
  const { count, offset } = directoryOf(archive);
  const entries: Entry[] = [];
  let at = offset;
  let total = 0;
  for (let i = 0; i < count; i++) {
    archive.expect(at, signatures.entry, "directory entry");
    archive.at(at, entrySize);
    const nameSize = archive.u16(at + 28);
    const extraSize = archive.u16(at + 30);
    const name = new TextDecoder().decode(archive.at(at + entrySize, nameSize));
    if ((archive.u16(at + 8) & 1) !== 0) {
      throw new UnsupportedError(`"${name}" of ${archive.what} is encrypted.`);
    }
    const extra = at + entrySize + nameSize;
    archive.at(extra, extraSize);
    const entry = {
      name,
      method: archive.u16(at + 10),
      checksum: archive.u32(at + 16),
      ...placeOf(archive, at, extra, extraSize),
    };
    total += entry.size;
    if (total > maxSampleBytes) {
      throw new UnsupportedError(`${archive.what} unpacks to more than 2 GiB.`);
    }
    if (entries.some((it) => it.name === name)) throw archive.broken(`it has "${name}" twice`);
    entries.push(entry);
    at = extra + extraSize + archive.u16(at + 32);
  }
  return entries;
}

function unpack(archive: Archive, { name, method, packedSize, size, offset }: Entry): Uint8Array {
  archive.expect(offset, signatures.local, "local header");
  archive.at(offset, localSize);
  const start = offset + localSize + archive.u16(offset + 26) + archive.u16(offset + 28);
  const packed = archive.at(start, packedSize);
  if (method === 0) return packed;
  if (method !== 8) {
    throw new UnsupportedError(
      `"${name}" of ${archive.what} is packed by method ${method}; only deflate is known.`,
    );
  }
  try {
    // One byte more than declared is enough to see that it is more.
    return zlib.inflateRawSync(packed, { maxOutputLength: size + 1 });
  } catch (cause) {
    const isLarger = cause instanceof RangeError;
    const reason = isLarger ? `unpacks to more than the ${size} bytes that it says` : "is damaged";
    throw new IntegrityError(`"${name}" of ${archive.what} ${reason}.`, { cause });
  }
}

function contentOf(archive: Archive, entry: Entry): Uint8Array {
  const content = unpack(archive, entry);
  const { name, size, checksum } = entry;
  if (content.length !== size) {
    throw new IntegrityError(
      `"${name}" of ${archive.what} unpacks to ${content.length} bytes instead of ${size}.`,
    );
  }
  // Node.js before 20.15 has no crc32.
  const { crc32 } = zlib as Partial<Pick<typeof zlib, "crc32">>;
  if (crc32 && crc32(content) !== checksum) {
    throw new IntegrityError(`"${name}" of ${archive.what} is damaged: its checksum is another.`);
  }
  return content;
}

/** The files of an archive. Throws where its directory is broken, or declares more than 2 GiB unpacked. */
export function unzip(what: string, bytes: Uint8Array): ZipFile[] {
  const archive = new Archive(what, bytes);
  return entriesOf(archive).map((entry) => ({
    name: entry.name,
    content: () => contentOf(archive, entry),
  }));
}
