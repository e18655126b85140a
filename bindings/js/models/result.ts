/** The results of what writes files: in memory, or elsewhere. */
import { UnsupportedError } from "../base/errors.js";
import type { Blob } from "../base/platform-types.js";

/** Files that were written, and what there is to say of them. */
export interface FilesResult<R> {
  /** The output by file name; empty when it went to a sink. */
  files: Record<string, Blob>;
  /** Gives the bytes of an output of one file in memory; rejects otherwise with an {@link UnsupportedError}. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** What was written. */
  report: R;
}

/** Makes the result of a run that wrote these files into memory. */
export const resultIn = <R>(files: Record<string, Blob>, report: R): FilesResult<R> => ({
  files,
  bytes: async () => {
    const [blob, ...others] = Object.values(files);
    if (!blob || others.length > 0) {
      throw new UnsupportedError(
        "The output has several files, and bytes() gives one: take them from `files`.",
      );
    }
    return new Uint8Array(await blob.arrayBuffer());
  },
  report,
});

/** Makes the result of a run that left nothing in memory, which `message` says. */
export const resultWithout = <R>(message: string, report: R): FilesResult<R> => ({
  files: {},
  bytes: () => Promise.reject(new UnsupportedError(message)),
  report,
});

/** Makes the result of a run whose output went to a sink. */
export const resultElsewhere = <R>(report: R): FilesResult<R> =>
  resultWithout("The output went to the sink that was given, not into memory.", report);
