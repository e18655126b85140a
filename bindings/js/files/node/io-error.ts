import { ModelShrinkError } from "../../base/errors.js";

const reasons: Record<string, string> = {
  EACCES: "permission denied",
  EEXIST: "a file of that name exists",
  EDQUOT: "the disk quota is used up",
  EISDIR: "it is a folder",
  EMFILE: "too many open files",
  ENOENT: "no such file or folder",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of the path is not a folder",
  EPIPE: "its reader has ended",
  EPERM: "not permitted",
  EROFS: "the file system is read-only",
};

/** Tells whether a system error says that nothing is there. */
export const isMissing = (cause: unknown): boolean =>
  cause instanceof Error &&
  "code" in cause &&
  (cause.code === "ENOENT" || cause.code === "ENOTDIR");

/** A system error as a sentence, e.g. `Cannot write "x.onnx": the disk is full.` */
export function ioError(action: string, path: string, cause: unknown): ModelShrinkError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = reasons[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new ModelShrinkError(`Cannot ${action} "${path}": ${reason}.`, "io", { cause });
}
