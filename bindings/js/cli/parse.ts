/** The command line → what to do. Everything wrong with it is a UsageError. */
import { parseArgs } from "node:util";
import { suggestion } from "../base/suggest.js";
import { presets } from "../recipe/presets.js";
import type { Command, Invocation, Operand } from "./command.js";
import { options, type OptionName } from "./options.js";
import { standardStream } from "./outputs.js";
import { UsageError } from "./usage-error.js";

/** "<model>", "<model>...", "[<command>]". */
export function operandText({ name, count }: Operand): string {
  const text = `<${name}>`;
  return count === "one" ? text : count === "many" ? `${text}...` : `[${text}]`;
}

function unknownOption(word: string, command: Command, commands: readonly Command[]): string {
  const name = word.replace(/^-+/, "") as OptionName;
  const others = commands.filter((it) => it.options.includes(name)).map((it) => it.name);
  const hint =
    others.length > 0
      ? ` It is an option of ${others.join(", ")}.`
      : suggestion(
          word,
          command.options.map((it) => `--${it}`),
        );
  return `"${command.name}" has no option ${word}.${hint}`;
}

function optionError(error: unknown, command: Command, commands: readonly Command[]): UsageError {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
  if (unknown !== undefined) return new UsageError(unknownOption(unknown, command, commands));
  const ambiguous = /^Option '[^']*--([\w-]+)[^']*' argument is ambiguous/.exec(message)?.[1];
  if (ambiguous !== undefined) {
    return new UsageError(
      `--${ambiguous} has no value; one that begins with - is --${ambiguous}=-….`,
    );
  }
  return new UsageError(message.split(". ")[0]!);
}

function parseOptions(command: Command, args: string[], commands: readonly Command[]) {
  const known = Object.fromEntries(
    command.options.map((name) => {
      const { kind, short } = options[name];
      const type = kind === "flag" ? ("boolean" as const) : ("string" as const);
      return [name, { type, multiple: kind === "list", ...(short ? { short } : {}) }];
    }),
  );
  try {
    return parseArgs({ args, options: known, allowPositionals: true });
  } catch (error) {
    throw optionError(error, command, commands);
  }
}

function checkOperands({ name, operands }: Command, given: readonly string[]): void {
  const isMany = operands.some(({ count }) => count === "many");
  const min = operands.filter(({ count }) => count !== "optional").length;
  const max = isMany ? Infinity : operands.length;
  const preset = given.find((it, i) => i > 0 && Object.hasOwn(presets, it));
  if (preset !== undefined) {
    throw new UsageError(
      `"${preset}" is no model: a recipe is given as --recipe ${preset}, a file of that name as ./${preset}.`,
    );
  }
  const numPiped = given.filter((it) => it === standardStream).length;
  if (numPiped > 1 || (numPiped === 1 && isMany && given.length > 1)) {
    throw new UsageError("Standard input is one model: - is given once, and not among several.");
  }
  if (given.length >= min && given.length <= max) return;
  const wanted = operands.length === 0 ? "no operands" : operands.map(operandText).join(" ");
  throw new UsageError(`"${name}" takes ${wanted}; ${given.length} given.`);
}

/** The command of this name; a UsageError with the nearest name where there is none. */
export function commandNamed(name: string, commands: readonly Command[]): Command {
  const found = commands.find((it) => it.name === name);
  if (found) return found;
  const names = commands.map((it) => it.name);
  throw new UsageError(
    `There is no command "${name}"; there are ${names.join(", ")}.${suggestion(name, names)}`,
  );
}

/** `words`: the command line without "node" and the script; the command comes first. */
export function parseCommand(
  [word = "", ...rest]: readonly string[],
  commands: readonly Command[],
): Invocation {
  if (word.startsWith("-")) throw new UsageError(`The command comes first, then ${word}.`);
  const command = commandNamed(word, commands);
  const { values, positionals } = parseOptions(command, rest, commands);
  if (!values.help && !values.version) checkOperands(command, positionals);
  return { command, operands: positionals, values: values };
}
