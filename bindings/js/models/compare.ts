/** Compares two models tensor by tensor. */
import { behindDoor } from "../base/door.js";
import { Meter } from "../base/meter.js";
import { unwrap } from "../core/load.js";
import { reportRows } from "../core/table.js";
import { attend } from "../files/open.js";
import { rangesAheadOf } from "../files/ranges.js";
import type { Source } from "../files/source.js";
import { checkRunOptions, readingOf, runKeys, toFiles } from "./inspect.js";
import { withTensors } from "./lazy.js";
import { type OpenModel, release, withModel } from "./open.js";
import { callLive, runSteps } from "./steps.js";
import type { Report, RunOptions } from "./types.js";

/** Says how far the tensors of `b` are from those of `a` with the same names, whatever each is stored as. */
export async function compareModels(
  a: Source,
  b: Source,
  options: RunOptions = {},
): Promise<Report> {
  return behindDoor(options, async () => {
    checkRunOptions(options, runKeys);
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
  options: RunOptions,
): Promise<Report> {
  const { core, pacer } = original;
  const { tensors } = original.info;
  const meter = new Meter(options, "compare", sizeOf(original) + sizeOf(other));
  const run = callLive(core, () => unwrap(core.compareModels(original.model, other.model)));
  try {
    await runSteps(run, {
      core,
      pacer,
      inputs: [rangesAheadOf(original.files), rangesAheadOf(other.files)],
      onRead: (size) => {
        meter.advanceTo(meter.done + size);
      },
      onTensor: (tensor) => {
        meter.advanceTo(meter.done, tensors.at(tensor)?.name);
      },
    });
    meter.advanceTo(Infinity);
    const { files, tensors: found, ...report } = reportRows(callLive(core, () => run.report()));
    return withTensors({ ...report, files: toFiles(files) }, found);
  } finally {
    release(core, run);
  }
}
