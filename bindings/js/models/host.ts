/** What a thread does for the workers of its pool. */
import type { Pacer } from "../base/pace.js";
import type { ReadRange } from "../files/ranges.js";
import type { CheckedSink } from "../files/target.js";
import type { FileName, Job } from "./protocol.js";

export interface Host {
  pacer: Pacer;
  /** The files of each model that workers open, in the core's order. */
  models: readonly (readonly FileName[])[];
  /** The readers of inputs 0, 1 and so on of the steps. */
  inputs: readonly ReadRange[];
  job: Job;
  /** Takes the writes of a shrink. */
  sink?: CheckedSink;
  onWrite?: () => void;
  /** Is told of bytes that a whole job has read, and of a tensor that it is done with. */
  onProgress?: (bytes: number, tensor?: number) => void;
}
