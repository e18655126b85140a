/** Packs files. */
import { behindDoor } from "../base/door.js";
import { ArgumentError } from "../base/errors.js";
import { packExtension } from "../base/formats.js";
import { Meter } from "../base/meter.js";
import { show } from "../base/options.js";
import { loadCore, unwrap } from "../core/load.js";
import { packCore } from "../core/packs.js";
import { rangesAheadOf } from "../files/ranges.js";
import type { Target } from "../files/sink.js";
import type { OpenFile, Source } from "../files/source.js";
import { withTarget } from "../files/with-target.js";
import { checkRunOptions, runKeys } from "../models/options.js";
import { resultElsewhere, resultIn } from "../models/result.js";
import { callLive, release } from "../models/steps.js";
import type { RunOptions } from "../models/types.js";
import { GrowingSink } from "./growing-sink.js";
import { openAll } from "./open-all.js";
import { runPacking } from "./output.js";
import type { PackOptions, PackReport, PackResult } from "./types.js";

/**
 * Packs files losslessly: `unpack` gives every byte again. Of models it knows where the weights lie and what they are, and
 * codes them as such. Memory does not grow with the files.
 *
 * @param source - A model, with the files that it names; a folder (all files below it but hidden ones) or a record of
 *   sources (all of them); or any other file.
 * @param options - Sink, progress, abort.
 * @returns The packed file, where no sink takes it, and its size.
 * @throws {@link ArgumentError} for a wrong source or option, names that no packed file may have, or no file at all;
 *   {@link UnsupportedError} for more than 1000 files; {@link OutOfMemoryError}; {@link IntegrityError} when a file changes
 *   while it is read; a {@link ModelShrinkError} of code "io" when reading or writing fails; the signal's reason. In all
 *   cases no output becomes visible, but for what a stream has taken.
 */
export async function pack(source: Source, options: PackOptions = {}): Promise<PackResult> {
  return behindDoor(options, async () => {
    checkRunOptions(options, [...runKeys, "sink"]);
    options.signal?.throwIfAborted();
    return withTarget(options.sink, false, (target) => packInto(target, source, options));
  });
}

/** Does what `pack` says, into a target that is no user's; into memory without one. */
export async function packInto(
  target: Target | undefined,
  source: Source,
  options: RunOptions,
): Promise<PackResult> {
  const { signal, timeoutMs } = options;
  const all = await openAll(source, { signal, timeoutMs });
  try {
    const { files, extents, warnings } =
      all.models.length > 0
        ? await (await import("./arrange.js")).arrange(all, { signal, timeoutMs })
        : { files: all.files, extents: new Float64Array(0), warnings: [] };
    const outputBytes = await write(target, files, extents, options);
    const report: PackReport = {
      inputBytes: files.reduce((bytes, { size }) => bytes + size, 0),
      outputBytes: outputBytes.bytes,
      files: files.map(({ name, size }) => ({ name, bytes: size })),
      ...(warnings.length > 0 ? { warnings } : {}),
    };
    const { memory } = outputBytes;
    return memory ? resultIn(memory.blobs(), report) : resultElsewhere(report);
  } finally {
    await all.close();
  }
}

async function write(
  target: Target | undefined,
  inputs: readonly OpenFile[],
  extents: Float64Array,
  options: RunOptions,
): Promise<{ bytes: number; memory: GrowingSink | undefined }> {
  for (const { name } of inputs) {
    if (/\p{Surrogate}/u.test(name)) throw new ArgumentError(`The name ${show(name)} is no text.`);
  }
  const core = await loadCore(packCore);
  const files = inputs.map(({ name, size }) => ({ name, sizeBytes: size }));
  const steps = callLive(core, () => unwrap(core.createPack(files, extents)));
  try {
    const memory = target ? undefined : new GrowingSink();
    const begin = async () => {
      const kind = { title: "a packed file", extension: packExtension };
      const named = await target?.mainName({ numFiles: 1, kind });
      const name = named ?? `${inputs[0]!.name.replace(/^.*\//s, "")}.${packExtension}`;
      return { files: [{ name, sizeBytes: undefined }], sink: target?.sink() ?? memory! };
    };
    const total = inputs.reduce((bytes, { size }) => bytes + size, 0);
    const meter = new Meter(options, "write", total);
    const onRead = (size: number) => {
      meter.advanceTo(meter.done + size);
    };
    const read = rangesAheadOf(inputs);
    const { signal } = options;
    return {
      bytes: await runPacking({ core, steps, inputs, read, begin, onRead, signal }),
      memory,
    };
  } finally {
    release(core, steps);
  }
}
