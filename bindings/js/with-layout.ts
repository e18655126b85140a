/** The public functions that take a model, or with `layout` a repository of them. */
import { behindDoor } from "./base/door.js";
import { checkObject } from "./base/options.js";
import type { ReadOptions } from "./files/raw.js";

/** What is downloaded by those alone who ask for a layout. */
type Layouts = typeof import("./layout/transformers.js");

/** Does `forRepository` where the options have a layout, else `forModel`. */
export const withLayout = <T>(
  options: ReadOptions,
  forModel: () => Promise<T>,
  forRepository: (layouts: Layouts) => Promise<T>,
): Promise<T> =>
  behindDoor(options, async () =>
    checkObject("options", options)["layout"] === undefined
      ? forModel()
      : forRepository(await import("./layout/transformers.js")),
  );
