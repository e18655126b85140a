/** Models as onnxruntime takes them: bytes in memory, of the files that the user named and of no others. */
import { UnsupportedError } from "../base/errors.js";
import type { ReadOptions } from "../files/raw.js";
import { withModel } from "../models/open.js";
import type { AnySource } from "../models/write.js";

/** The bytes of a model in several files. */
export interface ModelFiles {
  /** The main file: an ONNX graph. */
  main: Uint8Array;
  /** The files of external data, by the names that the main file has for them. */
  externalData: { path: string; data: Uint8Array }[];
}

/**
 * Reads all files of an ONNX model whole. The core finds which ones it names, and refuses names that lead out of its
 * folder. Throws an UnsupportedError for other formats.
 */
export function modelFilesOf(source: AnySource, options: ReadOptions): Promise<ModelFiles> {
  return withModel(source, options, async ({ info, files }) => {
    if (info.format !== "onnx") {
      throw new UnsupportedError(`onnxruntime runs ONNX models; this is ${info.format}.`);
    }
    const read = [];
    for (const file of files) {
      read.push({ path: file.name, data: await file.read(0, file.size) });
    }
    const [main, ...externalData] = read;
    return { main: main!.data, externalData };
  });
}
