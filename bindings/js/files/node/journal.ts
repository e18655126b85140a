/** The journal: a list of the pieces that a run has written, so that a later run goes on where it was cut off. */
import { createHash } from "node:crypto";
import { open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { ArgumentError } from "../../base/errors.js";
import type { CoreTensorReport } from "../../core/types.js";
import type { FinishedUnits, RunIdentity } from "../sink.js";
import type { OpenFile } from "../source.js";

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
  report?: CoreTensorReport;
}

interface Options {
  resume: boolean;
  /** Opens what the journal speaks of, empty unless `isKept`; whether it is an earlier run's. */
  openParts: (isKept: boolean) => Promise<boolean>;
  /** Tells whether a piece's bytes are there. */
  has: (piece: WrittenPiece) => Promise<boolean>;
}

const version = 3;
const sampleBytes = 65536;
const numSamples = 64;

const digest = (text: string) => createHash("sha256").update(text).digest("base64");

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

async function headOf({ files, inputs, order }: RunIdentity): Promise<Head> {
  const contents = [];
  for (const file of inputs) contents.push([file.name, file.size, await contentOf(file)]);
  return {
    journal: version,
    output: digest(JSON.stringify(files)),
    order: digest(order),
    source: digest(JSON.stringify(contents)),
  };
}

const infinity = "Infinity";
const withoutInfinity = (_: string, value: unknown) => (value === Infinity ? infinity : value);
const withInfinity = (key: string, value: unknown) =>
  key === "sqnr" && value === infinity ? Infinity : value;

/** The lines of a journal; one that was cut off while it was written ends it. */
function parse(text: string): { head: Head; lines: Line[] } | undefined {
  const whole = text.split("\n").slice(0, -1);
  try {
    const head = JSON.parse(whole[0] ?? "") as Head;
    const lines = whole.slice(1).map((line) => JSON.parse(line, withInfinity) as Line);
    return head.journal === version ? { head, lines } : undefined;
  } catch {
    return undefined;
  }
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

/** The record of a run beside its output, a line for each unit that is written. */
export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #unfinished = new Map<number, WrittenPiece[]>();
  #last = Promise.resolve();

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async open(
    path: string,
    run: RunIdentity,
    { resume, openParts, has }: Options,
  ): Promise<{ journal: Journal; finished: FinishedUnits }> {
    const head = await headOf(run);
    const before = parse(await readFile(path, "utf8").catch(() => ""));
    const kept = resume ? before : undefined;
    if (kept) checkSame(kept.head, head);
    const areThere = await openParts(kept !== undefined);
    const lines = kept && areThere ? await linesOf(kept.lines, has) : [];
    // Written anew, without what does not hold; the old one stays until this one is whole.
    const next = `${path}.new`;
    const journal = new Journal(path, await open(next, "w"));
    try {
      await journal.#append([head, ...lines]);
      await rename(next, path);
    } catch (error) {
      await journal.close();
      await rm(next, { force: true });
      throw error;
    }
    return { journal, finished: new Map(lines.map(({ unit, report }) => [unit, report])) };
  }

  add(unit: number, piece: WrittenPiece): void {
    const pieces = this.#unfinished.get(unit);
    if (pieces) pieces.push(piece);
    else this.#unfinished.set(unit, [piece]);
  }

  async finish(unit: number, report: CoreTensorReport | undefined): Promise<void> {
    const pieces = (this.#unfinished.get(unit) ?? []).map(
      ({ file, offset, length, checksum }): Line["pieces"][number] => [
        file,
        offset,
        length,
        checksum,
      ],
    );
    this.#unfinished.delete(unit);
    await this.#append([{ unit, pieces, ...(report ? { report } : {}) }]);
  }

  /** Stays for a later run. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async remove(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }

  /** Lines come whole: units may end while the last line is being written. */
  #append(lines: readonly (Head | Line)[]): Promise<void> {
    // JSON has no infinities; an SQNR is one where nothing changed.
    const text = lines.map((line) => `${JSON.stringify(line, withoutInfinity)}\n`);
    this.#last = this.#last.then(() => this.#handle.appendFile(text.join("")));
    return this.#last;
  }
}
