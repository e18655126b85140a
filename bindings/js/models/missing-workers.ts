/** The warning that workers do not start. */
import { visible } from "../base/visible.js";

/** True once the warning that workers do not start here was given. */
let hasWarned = false;

/** Says once that this thread does the work alone. */
export function warnOfMissingWorkers(reason: string): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn(
    `modelshrink cannot start a worker and works on this thread alone (${visible(reason)}).`,
  );
}
