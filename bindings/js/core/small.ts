/** The small core: arrays only, in a quarter of the bytes. */
import { compileArrays } from "#compile-arrays";
import createModule from "./arrays.mjs";
import type { InitInfo, InitOptions } from "./init-options.js";
import { infoOf, loadCore, type CoreBuild } from "./load.js";

const smallCore: CoreBuild = {
  place: "core",
  isWhole: false,
  createModule,
  compileDefault: compileArrays,
};

/**
 * Loads the WebAssembly core of the array functions, which are synchronous and need it first. Once it is loaded, further
 * calls and their options change nothing. Where "modelshrink" has loaded the whole core, that serves arrays, too.
 *
 * @throws {@link ArgumentError} for a wrong option; a {@link ModelShrinkError} of code "io" when the binary cannot be
 *   fetched or compiled.
 */
export async function init(options: InitOptions = {}): Promise<InitInfo> {
  return infoOf(await loadCore(smallCore, options));
}
