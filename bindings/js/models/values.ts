/** The values of one tensor. Loaded for those who ask for them alone. */
import { behindDoor } from "../base/door.js";
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { show } from "../base/options.js";
import { unwrap } from "../core/load.js";
import { rangesAheadOf } from "../files/ranges.js";
import type { ReadOptions } from "../files/raw.js";
import type { Piece } from "../files/sink.js";
import type { Source } from "../files/source.js";
import { checkRunOptions, readKeys } from "./options.js";
import { withModel, type OpenModel } from "./open.js";
import { callLive, runSteps, release } from "./steps.js";
import type { TensorValues } from "./types.js";

/** The most elements that are given: engines have no longer arrays of floats everywhere. */
const maxElements = 2 ** 29;

/** Does what `readTensor` says. */
export async function valuesOf(
  source: Source,
  name: string,
  options: ReadOptions = {},
): Promise<TensorValues> {
  return behindDoor(options, async () => {
    checkRunOptions(options, readKeys);
    return withModel(source, options, (opened) => read(opened, name));
  });
}

async function read(opened: OpenModel, name: string): Promise<TensorValues> {
  const { core, model, info, files, pacer } = opened;
  const index = indexOf(info.tensors, name);
  const { shape } = info.tensors.at(index)!;
  // The core refuses shapes of more elements than the file has.
  const run = callLive(core, () => unwrap(model.values(index)));
  try {
    const count = shape.reduce((product, size) => product * size, 1);
    if (count > maxElements) {
      throw new UnsupportedError(`"${name}" has ${count} values: more than an array holds.`);
    }
    const values = new Float32Array(count);
    const room = new Uint8Array(values.buffer);
    const write = ({ offset, bytes }: Piece) => {
      room.set(bytes, offset);
      return Promise.resolve();
    };
    await runSteps(run, { core, pacer, inputs: [rangesAheadOf(files)], sink: { write }, unit: 0 });
    return { name, shape: [...shape], values };
  } finally {
    release(core, run);
  }
}

function indexOf(tensors: Iterable<{ name: string }>, name: string): number {
  let index = 0;
  for (const tensor of tensors) {
    if (tensor.name === name) return index;
    index++;
  }
  throw new ArgumentError(`The model has no tensor ${show(name)}; inspect lists its tensors.`);
}
