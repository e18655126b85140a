/** Unpacks files; needs the module of packed files alone. */
import { behindDoor } from "../base/door.js";
import { formatBytes } from "../base/bytes.js";
import { aboutFile, IntegrityError, UnsupportedError } from "../base/errors.js";
import { Meter } from "../base/meter.js";
import { checkBoolean } from "../base/options.js";
import { loadCore, unwrap } from "../core/load.js";
import { packCore } from "../core/packs.js";
import type { CoreFile, PackModule } from "../core/types.js";
import { openIncoming } from "../files/incoming.js";
import { attend, openSource } from "../files/open.js";
import { rangesAheadOf, type ReadRange } from "../files/ranges.js";
import type { Target } from "../files/sink.js";
import type { OneSource, OpenFile } from "../files/source.js";
import { MemorySink } from "../files/target.js";
import { withTarget } from "../files/with-target.js";
import { checkRunOptions, runKeys } from "../models/options.js";
import { resultElsewhere, resultIn } from "../models/result.js";
import { callLive, release } from "../models/steps.js";
import { unpackGroups, type GroupsRun } from "./groups.js";
import { runPacking } from "./output.js";
import type { PackReport, PackResult, UnpackOptions } from "./types.js";

/** The most output bytes for each input byte, unless `maxGrowth` says another number. */
const defaultGrowth = 1000;

/** Packed files of fewer bytes are unpacked before a worker has started. */
const leastForWorkers = 1 << 20;

/** Outputs of fewer bytes do no harm. */
const harmlessBytes = 1 << 20;

/**
 * Restores the files of a packed file, byte for byte, in bounded memory where a `sink` takes them.
 *
 * @param source - The packed file, which may be hostile.
 * @param options - Sink, progress, abort, and bounds of what is trusted.
 * @returns The files by name, where no sink takes them, and their sizes.
 * @throws {@link IntegrityError} for damage, {@link FormatError} for what breaks a rule of the format or is no packed file,
 *   {@link UnsupportedError} for another version of it, or for more bytes than `maxGrowth` allows; {@link ArgumentError}
 *   for a wrong option; {@link OutOfMemoryError}; a {@link ModelShrinkError} of code "io" when reading or writing fails;
 *   the signal's reason. In all cases no output becomes visible, but for what a stream has taken.
 */
export async function unpack(source: OneSource, options: UnpackOptions = {}): Promise<PackResult> {
  return behindDoor(options, async () => {
    checkRunOptions(options, [...runKeys, "sink", "maxGrowth", "sha256", "workers"]);
    const sha256 = checkBoolean("sha256", options.sha256 ?? true);
    options.signal?.throwIfAborted();
    attend(source);
    return withTarget(options.sink, false, (target) => unpackTo(target, source, sha256, options));
  });
}

/** Loads the module of packed files, for an `unpack` that is to come. */
export async function readyToUnpack(): Promise<void> {
  await loadCore(packCore);
}

/** A packed file that is open. */
interface Packed {
  name: string;
  /** In bytes; undefined where nobody knows. */
  size: number | undefined;
  /** The file where it can be read at any place. */
  inputs: readonly OpenFile[];
  read: ReadRange;
  checkEnd?: () => Promise<void>;
  close: (reason?: unknown) => Promise<void>;
}

/** Opens a packed file: what comes from front to end is unpacked while it comes. */
async function open(source: OneSource, options: UnpackOptions): Promise<Packed> {
  const coming = await openIncoming(source, options);
  if (!coming) {
    const opened = await openSource(source, options);
    const { main } = opened;
    const { name, size } = main;
    const inputs = [main];
    return { name, size, inputs, read: rangesAheadOf(inputs), close: () => opened.close() };
  }
  const { name, size, bytes } = coming;
  return {
    name,
    size,
    inputs: [],
    read: (range) => bytes.read(range.size),
    checkEnd: () => bytes.checkEnd(),
    close: (reason) => {
      bytes.stop(reason);
      return Promise.resolve();
    },
  };
}

async function unpackTo(
  target: Target | undefined,
  source: OneSource,
  sha256: boolean,
  options: UnpackOptions,
): Promise<PackResult> {
  const core = await loadCore(packCore);
  const packed = await open(source, options);
  let failure: unknown;
  try {
    return await unpackOpen(core, packed, target, sha256, options);
  } catch (error) {
    // Those of the core name the packed file already; others are about what is written.
    failure = error instanceof IntegrityError ? error : aboutFile(packed.name, error);
    throw failure;
  } finally {
    await packed.close(failure);
  }
}

/** Counts the bytes that come and go, tells of them, and refuses too many. */
class Growth {
  readonly #options: UnpackOptions;
  readonly #packed: Packed;
  #meter: Meter | undefined;
  bytesRead = 0;

  constructor(options: UnpackOptions, packed: Packed) {
    this.#options = options;
    this.#packed = packed;
  }

  begin(files: readonly CoreFile[]): void {
    const total = files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    if (this.#packed.size !== undefined) this.#check(this.#packed.size, total);
    this.#meter = new Meter(this.#options, "write", total);
  }

  advanceTo(written: number): void {
    // What comes says at its end only how much it is.
    if (this.#packed.size === undefined) this.#check(this.bytesRead, written);
    this.#meter?.advanceTo(written);
  }

  #check(packedBytes: number, bytes: number): void {
    const { maxGrowth = defaultGrowth } = this.#options;
    if (bytes <= harmlessBytes || bytes <= packedBytes * maxGrowth) return;
    throw new UnsupportedError(
      `The files would have ${formatBytes(bytes)}, more than ${maxGrowth} times the packed file's ` +
        `${formatBytes(packedBytes)}. If that is right, allow more (maxGrowth, --max-growth).`,
    );
  }
}

async function unpackOpen(
  core: PackModule,
  packed: Packed,
  target: Target | undefined,
  sha256: boolean,
  options: UnpackOptions,
): Promise<PackResult> {
  const memory = new MemorySink();
  const growth = new Growth(options, packed);
  let files: CoreFile[] = [];
  const run = {
    core,
    sha256,
    begin: async (known: CoreFile[]) => {
      files = known;
      growth.begin(files);
      await target?.mainName({ numFiles: files.length });
      return { files, sink: target?.sink() ?? memory };
    },
    onRead: (bytes: number) => (growth.bytesRead += bytes),
    onWrite: (written: number) => {
      growth.advanceTo(written);
    },
    signal: options.signal,
  };
  const outputBytes = (await inGroups(run, packed, options)) ?? (await fromFront(run, packed));
  const report: PackReport = {
    inputBytes: packed.size ?? growth.bytesRead,
    outputBytes,
    files: files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes })),
  };
  return target ? resultElsewhere(report) : resultIn(memory.blobs(), report);
}

type UnpackRun = Omit<GroupsRun, "input" | "workers">;

/** Unpacks in workers where that is worth it and possible; undefined: nothing was done. */
function inGroups(
  run: UnpackRun,
  { inputs: [input], size = 0 }: Packed,
  { workers }: UnpackOptions,
): Promise<number | undefined> {
  if (!input || workers === 0 || size < leastForWorkers) return Promise.resolve(undefined);
  return unpackGroups({ ...run, input, workers });
}

async function fromFront(run: UnpackRun, packed: Packed): Promise<number> {
  const { core, sha256 } = run;
  const { size = -1 } = packed;
  const steps = callLive(core, () => unwrap(core.createUnpack(size, sha256, false)));
  try {
    const begin = () => run.begin(callLive(core, () => steps.files()));
    return await runPacking({ ...run, ...packed, steps, begin, about: packed.name });
  } finally {
    release(core, steps);
  }
}
