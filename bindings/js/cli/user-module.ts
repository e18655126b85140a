/** Modules that the user installs, so that modelshrink needs none. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UnsupportedError } from "../base/errors.js";
import { oneLine } from "../base/visible.js";

/**
 * The module `name` from the folder where the command runs, or from beside modelshrink. Where it is in neither, the
 * UnsupportedError says that `purpose` needs it and how it is installed.
 */
export async function importForUser(name: string, purpose: string): Promise<unknown> {
  for (const place of [join(process.cwd(), "package.json"), import.meta.url]) {
    let path;
    try {
      path = createRequire(place).resolve(name);
    } catch {
      continue;
    }
    try {
      const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
      // A CommonJS module has its exports as the default one.
      return module.default ?? module;
    } catch (cause) {
      throw new UnsupportedError(
        `${purpose} needs ${name}, which cannot be loaded: ${oneLine(String(cause))}`,
        { cause },
      );
    }
  }
  throw new UnsupportedError(`${purpose} needs ${name}: npm install ${name}`);
}
