/** Loads the whole core. */
import type { InitInfo, InitOptions } from "./init-options.js";
import { infoOf, loadCore } from "./load.js";
import { wholeCore } from "./whole.js";

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
