/** What takes the output of a run. */
import type { CoreFile, CoreReport, CoreTensorReport } from "../core/types.js";
import type { OpenFile } from "./source.js";

/**
 * Takes one output file. `open` comes first; then every byte is written exactly once, in any order;
 * then `close`, which makes the output visible, or `abort`, which leaves nothing behind. Both come when
 * no write is under way and are the last call. With workers several writes may be under way. Bytes
 * belong to the sink once they are handed over.
 */
export interface Sink {
  /** `size`: the exact size of the output, in bytes. */
  open(size: number): void | Promise<void>;
  write(offset: number, bytes: Uint8Array): void | Promise<void>;
  close(): void | Promise<void>;
  abort(reason: unknown): void | Promise<void>;
}

/** A Sink for the output file of this name and size. */
export type SinkFor = (name: string, size: number) => Sink | Promise<Sink>;

/** What a run writes and from what: enough to know whether a later run is the same one. */
export interface RunIdentity {
  files: readonly CoreFile[];
  inputs: readonly OpenFile[];
  /** JSON of what decides the bytes besides the inputs. */
  order: string;
}

/** Bytes for one output file. */
export interface Piece {
  /** The unit of the run that they belong to. */
  unit: number;
  file: number;
  offset: number;
  bytes: Uint8Array;
}

/** The units that need not run, with the reports of those that are a tensor. */
export type FinishedUnits = ReadonlyMap<number, CoreTensorReport | undefined>;

/** Takes all output files of a run, numbered; otherwise as Sink. */
export interface FileSetSink {
  /** Gives what an earlier run has left done. */
  open(run: RunIdentity): Promise<FinishedUnits>;
  write(piece: Piece): void | Promise<void>;
  /** Room for a piece of this size that an earlier one no longer needs. */
  spare?(size: number): Uint8Array<ArrayBuffer> | undefined;
  /** Every byte of the unit was written. */
  finish(unit: number, report: CoreTensorReport | undefined): void | Promise<void>;
  close(): void | Promise<void>;
  abort(reason: unknown): void | Promise<void>;
}

/** Where the output goes, once it is known what it is. */
export interface Target {
  /** The main file's name, if the target decides that. */
  mainName(planned: CoreReport): Promise<string | undefined>;
  sink(): FileSetSink;
}
