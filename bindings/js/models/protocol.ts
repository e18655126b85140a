/** The messages of a pool and its workers. All are structured-cloneable; bytes are transferred. */
import type { ErrorCode } from "../base/errors.js";
import type { CoreUnitReports } from "../core/types.js";
import type { Order } from "../recipe/specs.js";

export interface FileName {
  name: string;
  size: number;
}

export type ToWorker =
  | { kind: "start"; version: string; module: WebAssembly.Module; files: FileName[]; order: Order }
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
  /** The worker is ready for a unit. */
  | { kind: "ready" }
  /** The moments of a layer's inputs, answered as "read" is. */
  | { kind: "moments"; id: number; tensor: number; size: number }
  | { kind: "read"; id: number; file: number; offset: number; length: number }
  | { kind: "write"; unit: number; file: number; offset: number; bytes: Uint8Array }
  | { kind: "finished"; unit: number; reports: CoreUnitReports }
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
