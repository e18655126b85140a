/** The whole core: arrays and models. */
import { compileWhole } from "#compile";
import type { CoreBuild } from "./load.js";
import createModule from "./modelshrink.mjs";

/** The module with everything. */
export const wholeCore: CoreBuild = {
  hasModels: true,
  createModule,
  compileDefault: compileWhole,
};
