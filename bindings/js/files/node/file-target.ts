/** Outputs as files, which appear whole or not at all, and runs that can be resumed. */
import { mkdir, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { ArgumentError, IntegrityError, ModelShrinkError } from "../../base/errors.js";
import { mainFileExtensions, packExtension } from "../../base/formats.js";
import type { CoreUnitReports } from "../../core/types.js";
import { checksumOf } from "./checksum.js";
import { removeEmpty, syncFolder } from "./folders.js";
import { hidden, suffixes } from "./hidden.js";
import { ioError } from "./io-error.js";
import { Journal, type Left, type WrittenPiece } from "./journal.js";
import { releaseLock, takeLock } from "./lock.js";
import { refuseMeetings } from "./meetings.js";
import { pathOf } from "./path-of.js";
import {
  checkReplaceable,
  makeOwn,
  removeOwn,
  renameOwn,
  reopenOwn,
  takeBack,
} from "./own-file.js";
import { readFully } from "./read-fully.js";
import type {
  FileSetSink,
  FinishedUnits,
  Piece,
  PlannedOutput,
  RunIdentity,
  Target,
} from "../sink.js";

/** The number of writes at a time: the system's threads write while others compute. */
const maxParallel = 4;

/** The number of units that wait for the journal: of very many small ones the disk is the slower part. */
const maxNotes = 64;

const minSpareBytes = 1 << 16;

/** The number of written bytes after which the disk is told to begin. */
const syncBytes = 1 << 25;

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw cause instanceof ModelShrinkError ? cause : ioError("write", path, cause);
  }
}

/** An output file under its temporary name. */
class PartFile {
  readonly path: string;
  readonly part: string;
  readonly #size: number | undefined;
  /** The permissions of the finished file; undefined for those of any new file. */
  readonly #mode: number | undefined;
  #handle: FileHandle | undefined;
  #isMade = false;
  #unsynced = 0;
  /** The end of what was written. */
  #written = 0;
  #sync: Promise<void> | undefined;
  #syncFailure: { cause: unknown } | undefined;

  constructor(path: string, size: number | undefined, mode: number | undefined) {
    this.path = path;
    this.part = hidden(path, suffixes.part);
    this.#size = size;
    this.#mode = mode;
  }

  /**
   * Opens the file with the bytes of an earlier run; tells whether it has left any. `isFinished`: that may have given the
   * file its name.
   */
  async reopen(isFinished: boolean): Promise<boolean> {
    await attempt(this.path, async () => {
      if (isFinished) await takeBack(this.path, this.part);
      if (this.#size !== undefined) this.#handle = await reopenOwn(this.part, this.#size);
    });
    return this.#handle !== undefined;
  }

  /** Opens the file, empty; `isLeft`: what is there is an earlier run's. */
  async open(isLeft: boolean): Promise<void> {
    await this.close();
    await attempt(this.path, async () => {
      this.#handle = await makeOwn(this.part, isLeft, this.#mode === undefined ? 0o666 : 0o600);
    });
    this.#isMade = true;
  }

  /** Removes what open() has made. */
  async discard(): Promise<void> {
    if (this.#isMade) await removeOwn(this.part);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await attempt(this.path, async () => {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#file().write(
          bytes,
          done,
          bytes.length - done,
          offset + done,
        );
        done += bytesWritten;
      }
    });
    this.#written = Math.max(this.#written, offset + bytes.length);
    const found = await this.#read(offset, bytes.length);
    if (Buffer.compare(found, bytes) !== 0) {
      throw new IntegrityError(`"${this.path}" does not read back as it was written.`, { offset });
    }
    this.#startSync(bytes.length);
  }

  /** Tells whether an earlier run's bytes have reached the disk. */
  async has({ offset, length, checksum }: WrittenPiece): Promise<boolean> {
    return checksumOf(await this.#read(offset, length)) === checksum;
  }

  /** Waits until everything is on the disk, and closes the file. */
  async finish(): Promise<void> {
    await this.#sync;
    await attempt(this.path, async () => {
      if (this.#mode !== undefined) await this.#file().chmod(this.#mode);
      await this.#file().sync();
      // Systems tell of a write that failed only once.
      if (this.#syncFailure) throw this.#syncFailure.cause;
    });
    const { size } = await this.#file().stat();
    if (size !== (this.#size ?? this.#written)) {
      throw new IntegrityError(
        `"${this.path}" has ${size} bytes instead of ${this.#size ?? this.#written}.`,
      );
    }
    await this.close();
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  #read(offset: number, length: number): Promise<Uint8Array> {
    return attempt(this.path, () => readFully(this.#file(), offset, length));
  }

  /** Tells the disk to begin, so that there is little left to wait for in the end. */
  #startSync(written: number): void {
    this.#unsynced += written;
    if (this.#unsynced < syncBytes || this.#sync) return;
    this.#unsynced = 0;
    this.#sync = this.#file()
      .datasync()
      .catch((cause: unknown) => {
        this.#syncFailure = { cause };
      })
      .finally(() => (this.#sync = undefined));
  }

  #file(): FileHandle {
    if (!this.#handle) throw new Error("the file is not open");
    return this.#handle;
  }
}

class FileTargetSink implements FileSetSink {
  readonly #pathFor: (name: string) => string;
  readonly #folder: string;
  readonly #resume: boolean;
  readonly #keepsJournal: boolean;
  #files: PartFile[] = [];
  #journal: Journal | undefined;
  readonly #locks: string[] = [];
  /** Folders that were missing: the innermost one, and the outermost one that was made with it. */
  readonly #made: { folder: string; top: string }[] = [];
  readonly #writes = new Set<Promise<void>>();
  /** The writes of units into the journal that are under way. */
  readonly #notes = new Set<Promise<void>>();
  readonly #spares: ArrayBuffer[] = [];
  #failure: { cause: unknown } | undefined;

  /** `pathFor` gives the path of the output file of a name, which lies in `folder`. */
  constructor(
    pathFor: (name: string) => string,
    folder: string,
    resume: boolean,
    keepsJournal: boolean,
  ) {
    this.#pathFor = pathFor;
    this.#folder = folder;
    this.#resume = resume;
    this.#keepsJournal = keepsJournal;
  }

  async open(run: RunIdentity): Promise<FinishedUnits> {
    const mode = modeOf(run.inputs);
    const files = run.files.map(
      ({ name, sizeBytes }) => new PartFile(this.#pathFor(name), sizeBytes, mode),
    );
    const outputs = files.map(({ path }) => path);
    const inputs = run.inputs.flatMap(({ path }) => (path === undefined ? [] : [path]));
    await attempt(outputs[0]!, async () => {
      await refuseMeetings({ inputs, outputs, folder: this.#folder });
      for (const path of outputs) await checkReplaceable(path);
    });
    this.#files = files;
    await this.#makeFolders();
    const main = this.#files[0]!.path;
    for (const { path } of this.#files) {
      this.#locks.push(await attempt(path, () => takeLock(path)));
    }
    const { journal, finished } = await attempt(main, () =>
      Journal.open(main, run, {
        resume: this.#resume,
        openParts: (left) => this.#openParts(left),
        has: (piece) => this.#files[piece.file]?.has(piece) ?? Promise.resolve(false),
      }),
    );
    this.#journal = journal;
    return finished;
  }

  async write(piece: Piece): Promise<void> {
    this.#inBackground(this.#writes, this.#writeNow(piece));
    if (this.#writes.size >= maxParallel) await Promise.race(this.#writes);
    if (this.#failure) throw this.#failure.cause;
  }

  spare(size: number): Uint8Array<ArrayBuffer> | undefined {
    const i = this.#spares.findIndex(({ byteLength }) => byteLength >= size);
    const [buffer] = i < 0 ? [] : this.#spares.splice(i, 1);
    return buffer && new Uint8Array(buffer, 0, size);
  }

  async finish(unit: number, reports: CoreUnitReports): Promise<void> {
    const areWritten = Promise.all(this.#writes);
    this.#inBackground(
      this.#notes,
      areWritten.then(() => this.#note(unit, reports)),
    );
    if (this.#notes.size >= maxNotes) await Promise.race(this.#notes);
  }

  async close(): Promise<void> {
    await this.#allWritten();
    for (const file of this.#files) await file.finish();
    const [main, ...others] = this.#files;
    await attempt(main!.path, async () => {
      // Whoever looks finds the old set, no main file, or the new set.
      if (others.length > 0) await rm(main!.path, { force: true });
      for (const file of [...others, main!]) await renameOwn(file.part, file.path);
      if (this.#keepsJournal) await this.#journal?.close();
      else await this.#journal?.remove();
    });
    for (const folder of new Set(this.#files.map(({ path }) => dirname(path)))) {
      await syncFolder(folder);
    }
    await this.#release();
  }

  async abort(): Promise<void> {
    try {
      await Promise.allSettled([...this.#writes, ...this.#notes]);
      for (const file of this.#files) await file.close();
      if (this.#resume) await this.#journal?.close();
      else if (this.#isLocked()) await this.#discard();
    } finally {
      await this.#release();
      // A folder that holds what can be resumed is not empty.
      for (const { folder, top } of this.#made.reverse()) await removeEmpty(folder, top);
    }
  }

  async #writeNow({ unit, file, offset, bytes }: Piece): Promise<void> {
    const checksum = checksumOf(bytes);
    await this.#files[file]?.write(offset, bytes);
    this.#journal?.add(unit, { file, offset, length: bytes.length, checksum });
    this.#keepSpare(bytes.buffer as ArrayBuffer);
  }

  /** Keeps a piece's memory for a later one, because the system has to clear fresh memory first. */
  #keepSpare(buffer: ArrayBuffer): void {
    const isWorthIt = buffer.byteLength >= minSpareBytes;
    if (isWorthIt && this.#spares.length < maxParallel) this.#spares.push(buffer);
  }

  async #note(unit: number, reports: CoreUnitReports): Promise<void> {
    // The failed write may have held some of the unit's bytes.
    if (this.#failure) return;
    await attempt(this.#files[0]!.path, async () => this.#journal?.finish(unit, reports));
  }

  /** Lets work go on in the background; the next call throws its failure. */
  #inBackground(works: Set<Promise<void>>, work: Promise<void>): void {
    const tracked = work
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => works.delete(tracked));
    works.add(tracked);
  }

  async #allWritten(): Promise<void> {
    await Promise.all([...this.#writes, ...this.#notes]);
    if (this.#failure) throw this.#failure.cause;
  }

  async #makeFolders(): Promise<void> {
    for (const path of new Set(this.#files.map(({ path }) => dirname(path)))) {
      const top = await attempt(path, () => mkdir(path, { recursive: true }));
      if (top !== undefined) this.#made.push({ folder: resolve(path), top: resolve(top) });
    }
  }

  async #discard(): Promise<void> {
    for (const file of this.#files) await file.discard();
    await this.#journal?.remove();
  }

  /** Opens all parts; tells whether they are an earlier run's. */
  async #openParts({ hasJournal, isKept }: Left): Promise<boolean> {
    let areThere = isKept;
    for (const file of this.#files) areThere &&= await file.reopen(this.#keepsJournal);
    if (!areThere) for (const file of this.#files) await file.open(hasJournal);
    return areThere;
  }

  /** Tells whether the files under the temporary names are this run's to remove. */
  #isLocked(): boolean {
    return this.#files.length > 0 && this.#locks.length === this.#files.length;
  }

  async #release(): Promise<void> {
    for (const lock of this.#locks) await releaseLock(lock);
  }
}

/** Gives the permissions that all inputs have in common; undefined where none is a file of this system. */
function modeOf(inputs: RunIdentity["inputs"]): number | undefined {
  const modes = inputs.flatMap(({ mode }) => (mode === undefined ? [] : [mode]));
  return modes.length > 0 ? modes.reduce((common, mode) => common & mode, 0o777) : undefined;
}

const mainExtension = new RegExp(`\\.(${[...mainFileExtensions, packExtension].join("|")})$`, "i");

/** A name that promises another format would mislead whoever loads the file. */
function checkExtension(path: string, { kind }: PlannedOutput): void {
  const [, extension] = mainExtension.exec(path) ?? [];
  if (!kind || extension === undefined || extension.toLowerCase() === kind.extension) return;
  throw new ArgumentError(
    `The output "${path}" would be ${kind.title}: its name has to end in ` +
      `.${kind.extension}, or in "/" for a folder.`,
  );
}

/**
 * A path, or a file: address, names the output file. An output of several files goes into the path's folder, if the
 * path ends like a model's main file, whose name it then is; otherwise the path is the folder itself. An existing
 * folder, or a path that ends in "/", takes the files by their own names. Missing folders are made. With `keepsJournal` a
 * run that has come to its end leaves its journal, so that a later one checks its files and writes nothing.
 */
export function pathTarget(
  pathOrUrl: string | URL,
  isResuming: boolean,
  keepsJournal = false,
): Target {
  const path = pathOf(pathOrUrl, "sink");
  let folder = path;
  let pathFor = (name: string) => join(path, name);
  return {
    async mainName(planned) {
      const isOne = planned.numFiles === 1;
      const isFolder =
        path.endsWith("/") ||
        path.endsWith(sep) ||
        (await stat(path).then(
          (it) => it.isDirectory(),
          () => false,
        ));
      const namesMain = isOne || (planned.kind !== undefined && mainExtension.test(path));
      if (isFolder || !namesMain) return undefined;
      checkExtension(path, planned);
      folder = dirname(path);
      pathFor = isOne ? () => path : (name: string) => join(folder, name);
      return basename(path);
    },
    sink: () => new FileTargetSink(pathFor, folder, isResuming, keepsJournal),
    // What is resumed has one order only.
    isRepeatable: !isResuming,
  };
}
