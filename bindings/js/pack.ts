/**
 * modelshrink/pack: packs files losslessly, and restores them; on a core of its own, a quarter of the whole one's bytes. A page
 * that only unpacks loads nothing else.
 */
import type { InitInfo, InitOptions } from "./core/init-options.js";
import { infoOf, loadCore } from "./core/load.js";
import { packCore } from "./core/packs.js";

export type { InitInfo, InitOptions } from "./core/init-options.js";
export { pack } from "./pack/pack.js";
export { unpack } from "./pack/unpack.js";
export type { PackOptions, PackReport, PackResult, UnpackOptions } from "./pack/types.js";

/**
 * Loads the core of packed files, where its binary has another address than beside the code. Once it is loaded, further
 * calls and their options change nothing; `pack` and `unpack` call it themselves.
 *
 * @throws {@link ArgumentError} for a wrong option; a {@link ModelShrinkError} of code "io" when the binary cannot be
 *   fetched or compiled.
 */
export async function init(options: InitOptions = {}): Promise<InitInfo> {
  return infoOf(await loadCore(packCore, options));
}
