/** Commands: a row of their table, and the arguments and result of its `run`. */
import type { Progress } from "../base/meter.js";
import type { ReadOptions } from "../files/raw.js";
import type { OptionName, OptionValues } from "./options.js";

/** An operand, which stands behind a command. */
export interface Operand {
  /** In help: <name>. */
  name: string;
  /** "one", at least one ("many"), or at most one ("optional"). */
  count: "one" | "many" | "optional";
  /** The words that completion offers: paths, the names of commands, or these. */
  completes: "path" | "command" | readonly string[];
}

/** A row of the table of commands: parsing, help, the reference page, completion and dispatch follow it. */
export interface Command {
  name: string;
  /** One clause, for lists of commands; without a full stop. */
  summary: string;
  operands: readonly Operand[];
  options: readonly OptionName[];
  /** Paragraphs behind the options in help; only lines that are too long are broken. */
  notes?: () => readonly string[];
  examples: readonly string[];
  run: (invocation: Invocation, context: Context) => Promise<Outcome>;
}

/** A command line that was understood. */
export interface Invocation {
  command: Command;
  operands: readonly string[];
  values: OptionValues;
}

/** The surroundings of a running command. */
export interface Context extends ReadOptions {
  /** Aborted at an interrupt. */
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
  /** Shows a line for people before the command ends; does nothing with --json or --quiet. */
  print: (text: string) => void;
  /** Shows why one of several models failed. */
  complain: (text: string) => void;
  /** The table that the command is in. */
  commands: readonly Command[];
}

/** The result of a command. */
export interface Outcome {
  /** For people. */
  text: string;
  /** For programs, with --json. */
  json: object;
  /** True when a part of the work failed, as one of several models: exit code 1. */
  hasFailed?: boolean;
  /** True when there was nothing to do, for any of the models: exit code 3. */
  isIdle?: boolean;
}
