/** What differs between Node.js and browsers; `#platform` (package.json) picks the module. */
import type { RawFileSet } from "../files/raw.js";
import type { Target } from "../files/target.js";
import type { FromWorker, Port, ToWorker, WorkerPort } from "../models/protocol.js";

export interface Platform {
  compileUrl(url: URL): Promise<WebAssembly.Module>;
  /** A file, whose neighbours are found by their names, or a folder. */
  openPath(path: string | URL): Promise<RawFileSet>;
  pathTarget(path: string, resume: boolean): Target;
  /** A worker that runs worker.ts. */
  startWorker(): WorkerPort;
  /** Within a worker: the line to its pool. */
  poolPort(): Port<FromWorker, ToWorker>;
}
