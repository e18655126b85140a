/** Opens addresses by code that is loaded on demand. */
import { UnsupportedError } from "../base/errors.js";
import type { RawFileSet, ReadOptions } from "./raw.js";

/**
 * The file at `address` and its neighbours; `template` is the user's own request for it. What that takes is loaded by
 * whoever needs it; throws an UnsupportedError where nothing can be loaded, as in a service worker of other files than its
 * own.
 */
export async function openUrl(
  address: URL,
  waiting: ReadOptions,
  template?: Request,
): Promise<RawFileSet> {
  const http = await import("./http.js").catch((cause: unknown) => {
    throw new UnsupportedError(
      "No code for addresses can be loaded here: pass what fetch() gave, or take modelshrink/service-worker.",
      {
        cause,
      },
    );
  });
  return http.openUrl(address, waiting, template);
}
