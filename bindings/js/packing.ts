/** `pack` and `unpack` for "modelshrink": their code is loaded when they are called. */
import type { OneSource, Source } from "./files/source.js";
import type { PackOptions, PackResult, UnpackOptions } from "./pack/types.js";

/**
 * Packs files losslessly, as `pack` of "modelshrink/pack" does: `unpack` gives every byte again.
 *
 * @param source - A model, with the files that it names; a folder (all files below it but hidden ones) or a record of
 *   sources (all of them); or any other file.
 * @param options - Sink, progress, abort.
 * @returns The packed file, where no sink takes it, and its size.
 * @throws {@link ArgumentError} for a wrong source or option, names that no packed file may have, or no file at all;
 *   {@link UnsupportedError} for more than 1000 files; {@link OutOfMemoryError}; {@link IntegrityError} when a file changes
 *   while it is read; a {@link ModelShrinkError} of code "io" when reading or writing fails; the signal's reason.
 */
export const pack = async (source: Source, options?: PackOptions): Promise<PackResult> =>
  (await import("./pack/pack.js")).pack(source, options);

/**
 * Restores the files of a packed file, byte for byte, as `unpack` of "modelshrink/pack" does.
 *
 * @param source - The packed file, which may be hostile.
 * @param options - Sink, progress, abort, and bounds of what is trusted.
 * @returns The files by name, where no sink takes them, and their sizes.
 * @throws {@link IntegrityError} for damage, {@link FormatError} for what breaks a rule of the format or is no packed file,
 *   {@link UnsupportedError} for another version of it, or for more bytes than `maxGrowth` allows; {@link ArgumentError}
 *   for a wrong option; {@link OutOfMemoryError}; a {@link ModelShrinkError} of code "io" when reading or writing fails;
 *   the signal's reason.
 */
export const unpack = async (source: OneSource, options?: UnpackOptions): Promise<PackResult> =>
  (await import("./pack/unpack.js")).unpack(source, options);
