/** The messages of a pool and its workers. All are structured-cloneable; bytes are transferred. */
import type { ErrorCode } from "../base/errors.js";
import type {
  CoreRange,
  CoreRateGroup,
  CoreRates,
  CoreReport,
  CoreShare,
  CoreUnitReports,
} from "../core/types.js";
import type { Order } from "../recipe/specs.js";

export interface FileName {
  name: string;
  size: number;
}

/** A job that one worker does from its start to its result. */
export type WholeJob =
  | { kind: "compare" }
  | { kind: "shares"; tensors: number[]; allocation: "global" | "lamp"; sparsity: number }
  | { kind: "channels"; order: Order }
  | { kind: "rates"; order: Order; groups: readonly CoreRateGroup[] };

/** A job whose worker is given one unit after the other; those of unpacking are groups. */
export type UnitJob = { kind: "shrink"; order: Order } | { kind: "unpack"; sha256: boolean };

/** What a worker is started for. */
export type Job = UnitJob | WholeJob;

/** What whole jobs give. */
export interface Results {
  compare: CoreReport;
  shares: CoreShare[];
  channels: string;
  rates: CoreRates;
}

export type ToWorker =
  | {
      kind: "start";
      version: string;
      module: WebAssembly.Module;
      /** The files of each model, in the core's order; or the packed file. */
      models: FileName[][];
      job: Job;
    }
  | { kind: "unit"; unit: number }
  /** The answer to the "read" of this number. */
  | { kind: "bytes"; id: number; bytes: Uint8Array }
  /** The answer to "write". */
  | { kind: "written" };

export interface PlainError {
  message: string;
  code: ErrorCode;
  tensor: string | undefined;
  offset: number | undefined;
}

export type FromWorker =
  /** The worker's file is of another version, and the worker does nothing. */
  | { kind: "stale"; url: string; version: string }
  /** The worker has read the structures, and is ready for a unit, or begins its whole job. */
  | { kind: "ready" }
  /** Asks for a range of an input of the job's steps. */
  | { kind: "read"; id: number; input: number; range: CoreRange }
  | { kind: "write"; unit: number; file: number; offset: number; bytes: Uint8Array }
  /** A whole job has read so many bytes more, and may be done with a tensor. */
  | { kind: "progress"; bytes: number; tensor?: number }
  | { kind: "finished"; unit: number; reports: CoreUnitReports }
  | { kind: "result"; result: Results[keyof Results] }
  | { kind: "failed"; error: PlainError };

/** One end of the line between a pool and a worker. */
export interface Port<Out, In> {
  post(message: Out, transfer?: ArrayBuffer[]): void;
  onMessage(listener: (message: In) => void): void;
}

/** A worker as its pool sees it. */
export interface WorkerPort extends Port<ToWorker, FromWorker> {
  /** Is called when the worker could not start, or ended by itself; the sentence names its URL. */
  onError(listener: (message: string) => void): void;
  terminate(): void;
}
