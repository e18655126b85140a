/** The options and results of packing. */
import type { ReadOptions } from "../files/raw.js";
import type { OneSink, SinkFor } from "../files/sink.js";
import type { FilesResult } from "../models/result.js";
import type { FileInfo, RunOptions } from "../models/types.js";
import type { URL } from "../base/platform-types.js";

/** The options of {@link pack}. */
export interface PackOptions extends RunOptions {
  /**
   * The place of the packed file; memory by default. A path or file: address (Node.js) appears whole or not at all. A
   * sink's size is undefined, because only the end tells it.
   */
  sink?: string | URL | OneSink;
}

/** The options of {@link unpack}. */
export interface UnpackOptions extends RunOptions {
  /**
   * The place of the files; memory by default. A path names the file, or the folder of several; an object takes one
   * file; a function of name and size gives a sink for each.
   */
  sink?: string | URL | OneSink | SinkFor;
  /**
   * The most bytes that an output of more than 1 MiB may have for each byte of the packed file; 1000 by default. Packed
   * files may be hostile, and a constant takes almost nothing.
   */
  maxGrowth?: number;
  /**
   * False: of the files only the checksums of their pieces are checked, and not the SHA-256 of each 8 MiB as well, which
   * takes longer than everything else. True by default.
   */
  sha256?: boolean;
  /**
   * The number of workers that unpack while this thread reads and writes for them, 0 to 64; by default one for each
   * processor, up to 8. There are none for little work, or for what comes from front to end. The bytes are the same.
   */
  workers?: number;
}

/** What was packed or unpacked. */
export interface PackReport {
  /** The bytes that were read. */
  inputBytes: number;
  /** The bytes that were written. */
  outputBytes: number;
  /** The files that are packed, with their sizes outside. */
  files: FileInfo[];
  /** What was packed otherwise than its name promises, and why; left out when there is nothing to say. */
  warnings?: string[];
}

/** The result of {@link pack} and {@link unpack}. */
export interface PackResult extends FilesResult<PackReport> {
  /** What was packed or unpacked. */
  report: PackReport;
}

/** The options that both read by. */
export type PackReading = Pick<ReadOptions, "signal" | "timeoutMs">;
