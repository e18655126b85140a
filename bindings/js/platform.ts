/** What differs between Node.js and browsers; `#platform` (package.json) picks the module. */
import type { RandomAccess } from "./source.js";
import type { Sink } from "./sink.js";

export interface OpenFile extends RandomAccess {
  /** The file's name without its folder. */
  name: string;
  close(): Promise<void>;
}

export interface Platform {
  compileUrl(url: URL): Promise<WebAssembly.Module>;
  openFile(path: string | URL): Promise<OpenFile>;
  fileSink(path: string): Sink;
}
