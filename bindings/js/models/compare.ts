/** Compares two models tensor by tensor. */
import { behindDoor } from "../base/door.js";
import { Meter } from "../base/meter.js";
import { reportRows } from "../core/table.js";
import { attend } from "../files/open.js";
import type { Source } from "../files/source.js";
import { toFiles } from "./inspect.js";
import { checkRunOptions, readingOf, runKeys } from "./options.js";
import { withTensors } from "./lazy.js";
import { runJob } from "./jobs.js";
import { type OpenModel, withModel } from "./open.js";
import type { CompareOptions, Report } from "./types.js";

/** Says how far the tensors of `b` are from those of `a` with the same names, whatever each is stored as. */
export async function compareModels(
  a: Source,
  b: Source,
  options: CompareOptions = {},
): Promise<Report> {
  return behindDoor(options, async () => {
    checkRunOptions(options, [...runKeys, "workers"]);
    attend(b);
    const quiet = readingOf(options);
    return withModel(a, quiet, (original) =>
      withModel(b, quiet, (other) => compareOpened(original, other, options)),
    );
  });
}

const sizeOf = ({ files }: OpenModel) => files.reduce((bytes, { size }) => bytes + size, 0);

async function compareOpened(
  original: OpenModel,
  other: OpenModel,
  options: CompareOptions,
): Promise<Report> {
  const { tensors } = original.info;
  const meter = new Meter(options, "compare", sizeOf(original) + sizeOf(other));
  const onProgress = (bytes: number, tensor?: number) => {
    meter.advanceTo(meter.done + bytes, tensor === undefined ? tensor : tensors.at(tensor)?.name);
  };
  const models = [original, other];
  const result = await runJob(models, { kind: "compare" }, options.workers, onProgress);
  meter.advanceTo(Infinity);
  const { files, tensors: found, ...report } = reportRows(result);
  return withTensors({ ...report, files: toFiles(files) }, found);
}
