/** The whole core: arrays and models. */
import { compileWhole } from "#compile";
import type { CoreBuild } from "./load.js";
import createModule from "./modelshrink.mjs";

/** The module with everything. */
export const wholeCore: CoreBuild = {
  place: "core",
  isWhole: true,
  createModule,
  compileDefault: compileWhole,
};
