/** Paths in the file system, which only Node.js has. */
export { isFolder, openFolder, openNodeHandle, openPath } from "./node/file-source.js";
export { makeFolder } from "./node/new-folder.js";
export { streamFile } from "./node/stream-file.js";
export { pathTarget } from "./node/file-target.js";
