/** The structure of a model. */
import { behindDoor } from "../base/door.js";
import type { Source } from "../files/source.js";
import { withTensors } from "./lazy.js";
import { withModel } from "./open.js";
import { checkRunOptions, runKeys } from "./options.js";
import type { ModelInfo, FileInfo, RunOptions } from "./types.js";

/** Gives the core's files as reports name them. */
export const toFiles = (files: readonly { name: string; sizeBytes: number }[]): FileInfo[] =>
  files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes }));

/**
 * Says what is in a model, from its headers alone.
 *
 * @throws {@link FormatError} when a file breaks a rule of its format; {@link UnsupportedError} for another format;
 *   {@link ArgumentError} for a wrong source or option; a {@link ModelShrinkError} of code "io" when reading fails.
 */
export async function inspect(source: Source, options: RunOptions = {}): Promise<ModelInfo> {
  return behindDoor(options, async () => {
    checkRunOptions(options, runKeys);
    return withModel(source, options, ({ info }) => {
      const { format, sizeBytes, files, metadata, metadataLeftOut, tensors } = info;
      const head = {
        format,
        inputBytes: sizeBytes,
        files: toFiles(files),
        metadata,
        ...(metadataLeftOut === undefined ? {} : { metadataLeftOut }),
      };
      return Promise.resolve(withTensors(head, tensors));
    });
  });
}
