/** The core of packed files. */
import { compilePack } from "#compile-pack";
import type { CoreBuild } from "./load.js";
import createModule from "./pack.mjs";
import type { PackModule } from "./types.js";

/** The module that packs and unpacks. */
export const packCore: CoreBuild<PackModule> = {
  place: "pack",
  isWhole: true,
  createModule,
  compileDefault: compilePack,
};
