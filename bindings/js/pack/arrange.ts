/** Finds the weights in files that are to be packed. Loaded with the whole core, which reads models. */
import { FormatError, UnsupportedError } from "../base/errors.js";
import { isMainFile } from "../base/formats.js";
import { loadCore, unwrap } from "../core/load.js";
import { wholeCore } from "../core/whole.js";
import type { OpenFile } from "../files/source.js";
import { readStructure } from "../models/open.js";
import { callLive, release } from "../models/steps.js";
import type { OpenFiles } from "./open-all.js";
import type { PackReading } from "./types.js";

/** The numbers of an extent: offset, size, length of a row, kind. */
const numbersPerExtent = 4;

/** Files in the order in which they are packed: those of a model follow one another, as its tensors may run across them. */
export interface Arranged {
  files: OpenFile[];
  /** As the module of packed files takes them. */
  extents: Float64Array;
  warnings: string[];
}

const sizeOf = (files: Iterable<OpenFile>): number => {
  let bytes = 0;
  for (const { size } of files) bytes += size;
  return bytes;
};

/** Reads the models among the files, and puts their files first. What is no model is packed as it is. */
export async function arrange(all: OpenFiles, options: PackReading): Promise<Arranged> {
  const core = await loadCore(wholeCore);
  const order = new Set<OpenFile>();
  const extents: number[] = [];
  const warnings: string[] = [];
  for (const set of all.models) {
    if (order.has(set.main)) continue;
    try {
      const opened = await readStructure(core, set, options);
      try {
        // Another model's files lie elsewhere already.
        if (opened.files.some((file) => order.has(file))) continue;
        const begin = sizeOf(order);
        const found = callLive(core, () => unwrap(opened.model.extents()));
        for (let i = 0; i < found.length; i += numbersPerExtent) {
          extents.push(begin + found[i]!, found[i + 1]!, found[i + 2]!, found[i + 3]!);
        }
        for (const file of opened.files) order.add(file);
      } finally {
        release(core, opened.model);
      }
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof UnsupportedError)) throw error;
      // Bytes without a name may be anything.
      if (!set.main.isNamedByBytes && isMainFile(set.main.name))
        warnings.push(`It is packed as bytes, not as a model: ${error.message}`);
    }
  }
  for (const file of all.files) order.add(file);
  return { files: [...order], extents: Float64Array.from(extents), warnings };
}
