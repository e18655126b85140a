/** The flags of open(). */
import { constants } from "node:fs";

export const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = constants;

/**
 * Windows has neither flag: lstat() and stat() are the only checks there. Opening a FIFO would wait for its writer
 * without the second.
 */
export const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
