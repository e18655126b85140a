/** Takers of the output of a run. */
import type {
  FileSystemFileHandle,
  FileSystemWritableFileStream,
  WritableStream,
} from "../base/platform-types.js";
import type { CoreUnitReports } from "../core/types.js";
import type { NodeWritable } from "./node-types.js";
import type { OpenFile } from "./source.js";

/**
 * Takes one output file. `open` comes first; then every byte is written exactly once, in any order;
 * then `close`, which makes the output visible, or `abort`, which leaves nothing behind. Both come when
 * no write is under way and are the last call. With workers several writes may be under way. Bytes
 * belong to the sink once they are handed over.
 */
export interface Sink {
  /**
   * Is called once, first; `size` is the exact size of the output in bytes, undefined for a packed file, whose size only
   * its end tells.
   */
  open(size: number | undefined): void | Promise<void>;
  /** Takes `bytes` for the place `offset` (bytes from the beginning of the file). */
  write(offset: number, bytes: Uint8Array): void | Promise<void>;
  /** Makes the output visible: every byte has been written. */
  close(): void | Promise<void>;
  /** Drops what was written, because of `reason`. */
  abort(reason: unknown): void | Promise<void>;
}

/**
 * A sink for one file. A FileSystemFileHandle and what its `createWritable()` gives are written at any place; an
 * aborted run leaves the old file. A WritableStream and a Node.js Writable get their bytes from front to end, and are
 * closed then, or aborted.
 */
export type OneSink =
  Sink | FileSystemFileHandle | FileSystemWritableFileStream | WritableStream | NodeWritable;

/** Gives a sink for the output file of this name and size in bytes. */
export type SinkFor = (name: string, size: number) => OneSink | Promise<OneSink>;

/**
 * A sink's answer to a piece that it does not take: it has these bytes, or is not yet ready for them and will name
 * the unit as `wanted` again.
 */
export type Ignored = "ignored";

/** An output file; its size in bytes is undefined where only its end tells it. */
export interface OutputFile {
  name: string;
  sizeBytes: number | undefined;
}

/** A run's inputs, order and outputs: enough to know whether a later run is the same one. */
export interface RunIdentity {
  files: readonly OutputFile[];
  inputs: readonly OpenFile[];
  /** The number of bytes that each unit of the run writes. */
  unitBytes: ArrayLike<number>;
  /** Gives the number of tensors that a unit reports on. */
  numTensors: (unit: number) => number;
  /** The JSON of what decides the output's bytes besides the inputs and `tensors`. */
  order: string;
  /** The columns of what each tensor is to become. */
  tensors: readonly (Uint8Array | Uint32Array | Float64Array)[];
}

/** Bytes for one output file. */
export interface Piece {
  /** The unit of the run that they belong to. */
  unit: number;
  file: number;
  offset: number;
  bytes: Uint8Array;
}

/** The numbers of the units that need not run, with what was found. */
export type FinishedUnits = ReadonlyMap<number, CoreUnitReports>;

/** Takes all output files of a run, numbered; otherwise as Sink. */
export interface FileSetSink {
  /** Gives the units that an earlier run has finished. */
  open(run: RunIdentity): Promise<FinishedUnits>;
  write(piece: Piece): undefined | Ignored | Promise<void>;
  /** A unit that ran already and has to run again now, before any other: its bytes came before their turn. */
  wanted?(): number | undefined;
  /** Gives memory of `size` bytes that an earlier piece no longer needs, when there is some. */
  spare?(size: number): Uint8Array<ArrayBuffer> | undefined;
  /** Is called when every byte of the unit was written. */
  finish(unit: number, reports: CoreUnitReports): void | Promise<void>;
  close(): void | Promise<void>;
  abort(reason: unknown): void | Promise<void>;
}

/** An output before its main file has a name. */
export interface PlannedOutput {
  numFiles: number;
  /** What the output is; undefined where any name will do. */
  kind?: { title: string; extension: string };
}

/** The place of an output, before its names and sizes are known. */
export interface Target {
  /** Gives the main file's name, if the target decides it. */
  mainName(planned: PlannedOutput): Promise<string | undefined>;
  /** Gives the sink of a run; `isRepeatable` tells whether a second run gets one after the first was aborted. */
  sink(): FileSetSink;
  isRepeatable: boolean;
  /** Nothing will be written: the run failed, maybe before it began. */
  abandon?(reason: unknown): Promise<void>;
}

/** A folder that appears whole or not at all. */
export interface NewFolder {
  /** The path of the folder while it is filled. */
  path: string;
  /** The path of a folder in it that may be made, and is removed at the end. */
  scratch: string;
  /** Removes what an earlier run has left but for that folder. */
  startOver: () => Promise<void>;
  /** Gives the place of a run's files in a folder of it, "" or with "/" at its end: a later run can go on with them. */
  targetIn: (folder: string) => Target;
  /** Gives the folder its name; what is in it and not among these paths, of earlier runs, goes. */
  commit: (paths: Iterable<string>) => Promise<void>;
  /** Removes the folder with all that was written into it, or leaves it for a run that goes on with it. */
  abort: () => Promise<void>;
}
