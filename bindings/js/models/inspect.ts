/** What is in a model. */
import { checkObject, checkKeys } from "../base/options.js";
import type { Source } from "../files/source.js";
import { withModel } from "./open.js";
import type { ModelInfo, FileInfo, RunOptions } from "./types.js";

export const runKeys = ["signal", "onProgress"] as const;
export const writeKeys = [...runKeys, "sink", "resume", "workers", "calibration"] as const;
export const maxWorkers = 64;

export function checkRunOptions(options: object, keys: readonly string[]): void {
  checkKeys("options", checkObject("options", options), keys);
}

export const toFiles = (files: readonly { name: string; sizeBytes: number }[]): FileInfo[] =>
  files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes }));

/** What is in a model, from its headers alone. */
export async function inspect(source: Source, options: RunOptions = {}): Promise<ModelInfo> {
  checkRunOptions(options, runKeys);
  return withModel(source, options, ({ info }) => {
    const { format, sizeBytes, files, metadata, tensors } = info;
    return Promise.resolve({
      format,
      inputBytes: sizeBytes,
      files: toFiles(files),
      metadata,
      tensors,
    });
  });
}
