/** How much is run in a page. */
import { formatBytes, type Report } from "modelshrink";

/** Of both models together: more does not fit, with copies, into the 4 GB that WebAssembly can have. */
const maxBytes = 1.2e9;

/** The size of both models. */
export const bytesOf = ({ inputBytes, outputBytes }: Report): number => inputBytes + outputBytes;

/** Tells whether both models are too large to be run in a page, whatever runs them. */
export const isTooLarge = (report: Report): boolean => bytesOf(report) > maxBytes;

/** What is left for the original beside the small model. */
export const roomForOriginal = ({ outputBytes }: Report): number => maxBytes - outputBytes;

export const limitText = (report: Report): string =>
  `It cannot be tried here: both models together have ${formatBytes(bytesOf(report))}, and a page can run ` +
  `${formatBytes(maxBytes)} at most`;
