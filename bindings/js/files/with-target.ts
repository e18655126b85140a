/** The place that an output goes to. */
import type { Target } from "./sink.js";

/**
 * Does `work` with what the options `sink` and `resume` name, undefined for memory. Both are checked first; a
 * stream is aborted when the work fails, even before anything was written. `own` goes before what they name.
 */
export async function withTarget<T>(
  sink: unknown,
  resume: boolean,
  work: (target: Target | undefined) => Promise<T>,
  own?: Target,
): Promise<T> {
  if (own || (sink === undefined && !resume)) return work(own);
  const { withUsersTarget } = await import("./user-sink.js");
  return withUsersTarget(sink, resume, work);
}
