import type { ModuleOverrides } from "./modelshrink.mjs";
import type { PackModule } from "./types.js";

/** Makes an instance of the core of packed files. */
declare const createModule: (overrides: ModuleOverrides) => Promise<PackModule>;
export default createModule;
