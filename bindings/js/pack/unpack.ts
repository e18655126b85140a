/** Unpacks files; needs the module of packed files alone. */
import { behindDoor } from "../base/door.js";
import { aboutFile } from "../base/errors.js";
import { checkBoolean } from "../base/options.js";
import { loadCore, unwrap } from "../core/load.js";
import { packCore } from "../core/packs.js";
import type { CoreFile } from "../core/types.js";
import { attend, openSource } from "../files/open.js";
import type { Target } from "../files/sink.js";
import type { OneSource } from "../files/source.js";
import { MemorySink } from "../files/target.js";
import { withTarget } from "../files/with-target.js";
import { checkGrowth } from "../models/growth.js";
import { checkRunOptions, runKeys } from "../models/options.js";
import { resultElsewhere, resultIn } from "../models/result.js";
import { callLive, release } from "../models/steps.js";
import { runPacking } from "./output.js";
import type { PackReport, PackResult, UnpackOptions } from "./types.js";

/** The most output bytes for each input byte, unless `maxGrowth` says another number. */
const defaultGrowth = 1000;

/**
 * Restores the files of a packed file, byte for byte, in bounded memory where a `sink` takes them.
 *
 * @param source - The packed file, which may be hostile.
 * @throws {@link IntegrityError} for damage, {@link FormatError} for what breaks a rule of the format or is no packed file,
 *   {@link UnsupportedError} for another version of it, or for more bytes than `maxGrowth` allows; {@link ArgumentError}
 *   for a wrong option; {@link OutOfMemoryError}; a {@link ModelShrinkError} of code "io" when reading or writing fails;
 *   the signal's reason. In all cases no output becomes visible, but for what a stream has taken.
 */
export async function unpack(source: OneSource, options: UnpackOptions = {}): Promise<PackResult> {
  return behindDoor(options, async () => {
    checkRunOptions(options, [...runKeys, "sink", "maxGrowth", "sha256"]);
    const sha256 = checkBoolean("sha256", options.sha256 ?? true);
    options.signal?.throwIfAborted();
    attend(source);
    return withTarget(options.sink, false, (target) => unpackTo(target, source, sha256, options));
  });
}

async function unpackTo(
  target: Target | undefined,
  source: OneSource,
  sha256: boolean,
  options: UnpackOptions,
): Promise<PackResult> {
  const core = await loadCore(packCore);
  const opened = await openSource(source, options);
  try {
    const { main } = opened;
    const steps = callLive(core, () => unwrap(core.createUnpack(main.size, sha256)));
    try {
      const memory = new MemorySink();
      let files: CoreFile[] = [];
      const begin = async () => {
        files = callLive(core, () => steps.files());
        const total = files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
        checkGrowth([main], total, options.maxGrowth ?? defaultGrowth);
        await target?.mainName({ numFiles: files.length });
        return { files, sink: target?.sink() ?? memory };
      };
      const outputBytes = await runPacking({ core, steps, inputs: [main], begin, options });
      const report: PackReport = {
        inputBytes: main.size,
        outputBytes,
        files: files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes })),
      };
      return target ? resultElsewhere(report) : resultIn(memory.blobs(), report);
    } catch (error) {
      throw aboutFile(main.name, error);
    } finally {
      release(core, steps);
    }
  } finally {
    await opened.close();
  }
}
