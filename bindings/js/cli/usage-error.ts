import { withoutPasswords } from "../base/errors.js";
import { visible } from "../base/visible.js";

/** A command line that is wrong: exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(visible(withoutPasswords(message)));
  }
}
