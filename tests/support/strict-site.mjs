// The built demo page under the strictest policy that it works with: nothing but its own files, and no eval.
import { join } from "node:path";
import { serve } from "./chromium.mjs";
import { root } from "./run.mjs";

const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";

/** Resolves to { url, close() }; the page must have been built. */
export const serveStrictly = () =>
  serve(join(root, "build/web"), { "content-security-policy": policy });
