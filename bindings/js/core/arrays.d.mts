import type { ModuleOverrides } from "./modelshrink.mjs";
import type { CoreModule } from "./types.js";

/** Makes an instance of the small core; its functions of models are missing. */
declare const createModule: (overrides: ModuleOverrides) => Promise<CoreModule>;
export default createModule;
