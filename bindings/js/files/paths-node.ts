/** Paths in the file system, which only Node.js has. */
export { openNodeHandle, openPath } from "./node/file-source.js";
export { pathTarget } from "./node/file-target.js";
