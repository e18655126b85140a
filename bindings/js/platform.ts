/** What differs between Node.js and browsers; `#platform` (package.json) picks the module. */
import type { RawFileSet } from "./sources/raw.js";
import type { Sink } from "./sink.js";

export interface Platform {
  compileUrl(url: URL): Promise<WebAssembly.Module>;
  /** A file, whose neighbours are found by their names, or a folder. */
  openPath(path: string | URL): Promise<RawFileSet>;
  fileSink(path: string): Sink;
}
