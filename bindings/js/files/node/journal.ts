/** The journal: a list of the pieces that a run has written, so that a later run goes on where it was cut off. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { ArgumentError, IntegrityError } from "../../base/errors.js";
import type { CoreUnitReports } from "../../core/types.js";
import type { FinishedUnits, RunIdentity } from "../sink.js";
import type { OpenFile } from "../source.js";
import { hidden, suffixes } from "./hidden.js";
import { isLeft, makeOwn, readOwn, removeOwn, renameOwn } from "./own-file.js";

/** Bytes of one output file, as they have to read back. */
export interface WrittenPiece {
  file: number;
  offset: number;
  length: number;
  checksum: string;
}

/** The first line: which run this is. Changed when the meaning of a journal changes. */
interface Head {
  journal: number;
  output: string;
  order: string;
  source: string;
}

/** A further line: a unit whose bytes are all written. */
interface Line {
  unit: number;
  pieces: [file: number, offset: number, length: number, checksum: string][];
  reports: CoreUnitReports;
}

/** What an earlier run has left: a journal, and whether this run goes on with it. */
export interface Left {
  hasJournal: boolean;
  isKept: boolean;
}

interface Options {
  resume: boolean;
  /** Opens what the journal speaks of, empty unless its bytes are to be kept; tells whether they were. */
  openParts: (left: Left) => Promise<boolean>;
  /** Tells whether a piece's bytes are there. */
  has: (piece: WrittenPiece) => Promise<boolean>;
}

const version = 5;
/** The first bytes of every version's journals. */
const beginning = '{"journal":';
/** The most bytes of a journal: that of a million tensors has fewer. */
const maxJournalBytes = 1 << 28;
/** More than any unit writes at once. */
const maxPieceBytes = 1 << 30;
const sampleBytes = 65536;
const numSamples = 64;

function digest(text: string, columns: RunIdentity["tensors"] = []): string {
  const hash = createHash("sha256").update(text);
  for (const column of columns) hash.update(column);
  return hash.digest("base64");
}

/** The platform's word for its content, or a hash of evenly spaced samples. */
async function contentOf(file: OpenFile): Promise<string> {
  if (file.version !== undefined) return file.version;
  const hash = createHash("sha256");
  const last = Math.max(file.size - sampleBytes, 0);
  for (let i = 0; i < numSamples; i++) {
    const offset = Math.floor((last * i) / (numSamples - 1));
    hash.update(await file.read(offset, Math.min(sampleBytes, file.size - offset)));
  }
  return hash.digest("base64");
}

async function headOf({ files, inputs, order, tensors }: RunIdentity): Promise<Head> {
  const contents = [];
  for (const file of inputs) contents.push([file.name, file.size, await contentOf(file)]);
  return {
    journal: version,
    output: digest(JSON.stringify(files)),
    order: digest(order, tensors),
    source: digest(JSON.stringify(contents)),
  };
}

/** The members of reports that a run finds. */
const statistics = ["sqnr", "worstSqnr", "maxAbsError", "meanAbsError", "cosine", "sparsity"];

/** Gives a column as JSON can have it, which has no infinities: an SQNR is one where nothing changed. */
const listOf = (column: ArrayLike<number>) =>
  Array.from(column, (it) => (Number.isFinite(it) ? it : String(it)));

const listsOf = ({ numbers, texts, shared }: CoreUnitReports) => ({
  numbers: Object.fromEntries(Object.entries(numbers).map(([key, it]) => [key, listOf(it)])),
  ...{ texts, shared: listOf(shared) },
});

/** Gives the column of a list that listOf() has made; undefined for anything else. */
function columnOf(list: unknown, length: number): Float64Array | undefined {
  if (!Array.isArray(list) || list.length !== length) return undefined;
  const column = Float64Array.from(list, (it) => (typeof it === "object" ? NaN : Number(it)));
  const isSame = (it: string | number, i: number) => it === list[i];
  return listOf(column).every(isSame) ? column : undefined;
}

/** Gives what a line tells of `length` tensors; undefined where no run has written it. */
function reportsOf(value: unknown, length: number): CoreUnitReports | undefined {
  if (!isObject(value) || !isObject(value.numbers) || !Array.isArray(value.texts)) return undefined;
  const texts = value.texts as unknown[];
  const shared = columnOf(value.shared, length);
  if (!shared?.every((it) => isUpTo(it, texts.length - 1))) return undefined;
  const isText = (it: unknown) =>
    typeof it === "string" && !it.includes("\n") && isObject(valuesOf(`${it}\n`)[0]);
  if (!texts.every(isText)) return undefined;
  const numbers: Record<string, Float64Array> = {};
  for (const [key, list] of Object.entries(value.numbers)) {
    const column = statistics.includes(key) ? columnOf(list, length) : undefined;
    if (!column) return undefined;
    numbers[key] = column;
  }
  return { numbers, texts: texts as string[], shared };
}

/** Gives the values of a journal's lines; one that was cut off while it was written, or got lost later, ends it. */
function valuesOf(text: string): unknown[] {
  const values: unknown[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    try {
      values.push(JSON.parse(line));
    } catch {
      break;
    }
  }
  return values;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isHead = (value: unknown): value is Head =>
  isObject(value) && ["output", "order", "source"].every((key) => typeof value[key] === "string");

const isUpTo = (value: unknown, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;

/** Gives a line that this run itself would write: the bytes of a unit, all of them, in its files. */
function lineOf(value: unknown, { files, unitBytes, numTensors }: RunIdentity): Line | undefined {
  if (!isObject(value) || !Array.isArray(value.pieces)) return undefined;
  const { unit, pieces } = value;
  if (!isUpTo(unit, unitBytes.length - 1)) return undefined;
  let bytes = 0;
  for (const piece of pieces as unknown[]) {
    if (!Array.isArray(piece) || piece.length !== 4) return undefined;
    const [file, offset, length, checksum] = piece as unknown[];
    if (!isUpTo(file, files.length - 1) || typeof checksum !== "string") return undefined;
    const { sizeBytes = Infinity } = files[file]!;
    const room = Math.min(sizeBytes - Number(offset), maxPieceBytes);
    if (!isUpTo(offset, sizeBytes) || !isUpTo(length, room)) return undefined;
    bytes += length;
  }
  const reports = reportsOf(value.reports, numTensors(unit));
  if (bytes !== unitBytes[unit] || !reports) return undefined;
  return { unit, pieces: pieces as Line["pieces"], reports };
}

/** Gives the lines of a journal of this run; undefined for none, or another version's. Throws for another run's. */
function parse(path: string, text: string, now: Head, run: RunIdentity): Line[] | undefined {
  const [head, ...lines] = valuesOf(text);
  if (head === undefined || (isObject(head) && head.journal !== version)) return undefined;
  // The lines of another order are none of this run's, and right all the same.
  if (isHead(head)) checkSame(head, now);
  const parsed = lines.map((line) => lineOf(line, run));
  const broken = isHead(head) ? lines[parsed.indexOf(undefined)] : head;
  if (broken === undefined) return parsed as Line[];
  throw new IntegrityError(
    `The journal "${path}" has a line that no run has written, ${JSON.stringify(broken).slice(0, 80)}: delete it, ` +
      "or run without resume to start anew.",
  );
}

function checkSame(before: Head, now: Head): void {
  const changed =
    before.source !== now.source
      ? "the model changed"
      : before.order !== now.order || before.output !== now.output
        ? "the recipe or the version of modelshrink is another"
        : undefined;
  if (changed !== undefined) {
    throw new ArgumentError(`Cannot resume: ${changed} since. Run without resume to start anew.`);
  }
}

/** Those whose bytes are there: a system that stopped may have lost some. */
async function linesOf(lines: readonly Line[], has: Options["has"]): Promise<Line[]> {
  const kept = [];
  for (const line of lines) {
    let isWhole = true;
    for (const [file, offset, length, checksum] of line.pieces) {
      isWhole &&= await has({ file, offset, length, checksum });
    }
    if (isWhole) kept.push(line);
  }
  return kept;
}

/** Gives the lines of an earlier run of the same kind; undefined where there was none. */
async function earlierRun(path: string, head: Head, run: RunIdentity): Promise<Line[] | undefined> {
  const bytes = await readOwn(path, maxJournalBytes);
  return bytes && parse(path, new TextDecoder().decode(bytes), head, run);
}

/** The record of a run beside its output, a line for each unit that is written. */
export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #unfinished = new Map<number, WrittenPiece[]>();
  /** What waits for the line before it to be written. */
  #text = "";
  #last = Promise.resolve();

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Opens the journal of the run that writes the main file `main`. */
  static async open(
    main: string,
    run: RunIdentity,
    { resume, openParts, has }: Options,
  ): Promise<{ journal: Journal; finished: FinishedUnits }> {
    const path = hidden(main, suffixes.journal);
    const next = hidden(main, suffixes.nextJournal);
    const hasNext = await isLeft(next, beginning);
    const hasJournal = (await isLeft(path, beginning)) || hasNext;
    const head = await headOf(run);
    const kept = resume ? await earlierRun(path, head, run) : undefined;
    const areThere = await openParts({ hasJournal, isKept: kept !== undefined });
    const lines = kept && areThere ? await linesOf(kept, has) : [];
    // Written anew, without what does not hold; the old one stays until this one is whole.
    const journal = new Journal(path, await makeOwn(next, hasNext));
    try {
      const written = lines.map((line) => ({ ...line, reports: listsOf(line.reports) }));
      await journal.#append([head, ...written]);
      await renameOwn(next, path);
    } catch (error) {
      await journal.close();
      await removeOwn(next);
      throw error;
    }
    return { journal, finished: new Map(lines.map(({ unit, reports }) => [unit, reports])) };
  }

  add(unit: number, piece: WrittenPiece): void {
    const pieces = this.#unfinished.get(unit);
    if (pieces) pieces.push(piece);
    else this.#unfinished.set(unit, [piece]);
  }

  async finish(unit: number, reports: CoreUnitReports): Promise<void> {
    const pieces = (this.#unfinished.get(unit) ?? []).map(
      ({ file, offset, length, checksum }): Line["pieces"][number] => [
        file,
        offset,
        length,
        checksum,
      ],
    );
    this.#unfinished.delete(unit);
    await this.#append([{ unit, pieces, reports: listsOf(reports) }]);
  }

  /** Stays for a later run. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async remove(): Promise<void> {
    await this.#handle.close();
    await removeOwn(this.#path);
  }

  /** Lines come whole: units may end while the last line is being written. */
  #append(lines: readonly object[]): Promise<void> {
    for (const line of lines) this.#text += `${JSON.stringify(line)}\n`;
    this.#last = this.#last.then(async () => {
      const text = this.#text;
      this.#text = "";
      if (text.length > 0) await this.#handle.appendFile(text);
    });
    return this.#last;
  }
}
