/** The whole core: arrays and models. */
import { compileWhole } from "#compile";
import { infoOf, loadCore, type CoreBuild, type InitInfo, type InitOptions } from "./load.js";
import createModule from "./modelshrink.mjs";

export const wholeCore: CoreBuild = {
  hasModels: true,
  createModule,
  compileDefault: compileWhole,
};

/**
 * Loads the WebAssembly core. Once it is loaded, further calls and their options change nothing. Model functions call
 * it themselves; array functions are synchronous and need it first.
 *
 * @throws {@link ArgumentError} for a wrong option; a {@link ModelShrinkError} of code "io" when the binary cannot be
 *   fetched or compiled.
 */
export async function init(options: InitOptions = {}): Promise<InitInfo> {
  return infoOf(await loadCore(wholeCore, options));
}
