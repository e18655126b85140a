import type { CoreModule } from "./types.js";

/** The functions that the Emscripten glue takes from its host; it never fetches anything itself. */
export interface ModuleOverrides {
  instantiateWasm(
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports | Record<string, never>;
  print(text: string): void;
  printErr(text: string): void;
}

declare const createModule: (overrides: ModuleOverrides) => Promise<CoreModule>;
export default createModule;
