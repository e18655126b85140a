/** Hints at a user's next step. */
import { visible } from "../base/visible.js";
import type { Report } from "../models/types.js";
import { isUrl, standardStream } from "./outputs.js";

/** A word of a command line, quoted where a shell would read more into it. */
const quoted = (word: string) =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${visible(word).replaceAll("'", "'\\''")}'`;

/** The command that compares two models' outputs, as a line; none where it cannot run them. */
export function verifyHint(original: string, other: string, { format, files }: Report): string[] {
  const canRun = format === "onnx" && files.length === 1 && !other.endsWith("/");
  if (!canRun || [original, other].some((it) => it === standardStream || isUrl(it))) return [];
  const words = ["modelshrink verify", quoted(original), quoted(other), "--inputs <samples>"];
  return [`Compare the outputs: ${words.join(" ")}`];
}
