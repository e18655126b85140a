/** What a command is: a row of the table of commands, and what its `run` gets and gives. */
import type { Progress } from "../base/meter.js";
import type { OptionName, OptionValues } from "./options.js";

/** What stands behind a command. */
export interface Operand {
  /** In help: <name>. */
  name: string;
  /** "one", at least one ("many"), or at most one ("optional"). */
  count: "one" | "many" | "optional";
  /** What completion offers: paths, the names of commands, or these words. */
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

/** What a running command has. */
export interface Context {
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

/** What a command found. */
export interface Outcome {
  /** For people. */
  text: string;
  /** For programs, with --json. */
  json: object;
  /** Whether a part of the work failed, as one of several models: exit code 1. */
  hasFailed?: boolean;
}
