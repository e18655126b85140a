import type { OneSource, Source } from "./files/source.js";
import type { PackOptions, PackResult, UnpackOptions } from "./pack/types.js";

/** Does what `pack` of "modelshrink/pack" does; its code is loaded now. */
export const pack = async (source: Source, options?: PackOptions): Promise<PackResult> =>
  (await import("./pack/pack.js")).pack(source, options);

/** Does what `unpack` of "modelshrink/pack" does; its code is loaded now. */
export const unpack = async (source: OneSource, options?: UnpackOptions): Promise<PackResult> =>
  (await import("./pack/unpack.js")).unpack(source, options);
