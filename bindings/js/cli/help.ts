/** Help, made from the tables of commands and options. */
import { largestOf } from "../base/extremes.js";
import { formats } from "../base/formats.js";
import { presets } from "../recipe/presets.js";
import type { Command } from "./command.js";
import { optionGroups, type OptionGroup } from "./option-row.js";
import { options, type OptionName } from "./options.js";
import { operandText } from "./parse.js";

const width = 96;
const optionColumn = 29;

/** `text` in lines of at most `columns` characters, broken at spaces. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join("\n");

/** "-o, --output <path>". */
export function optionText(name: OptionName): string {
  const { short, value } = options[name];
  return `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`;
}

function optionHelp(name: OptionName): string {
  const { sentence, details = [] } = options[name];
  const left = `  ${optionText(name)}`;
  const right = [sentence, ...details].flatMap((it) => wrap(it, width - optionColumn));
  const fits = left.length < optionColumn - 1;
  const lines = fits ? right : ["", ...right];
  return lines
    .map((line, i) => ((i === 0 ? left : "").padEnd(optionColumn) + line).trimEnd())
    .join("\n");
}

/** The options of a command under their headings, in the order of the table. */
export function optionsByGroup(command: Command): [OptionGroup, OptionName[]][] {
  const groups = Object.keys(optionGroups) as OptionGroup[];
  return groups
    .map((group): [OptionGroup, OptionName[]] => [
      group,
      command.options.filter((name) => options[name].group === group),
    ])
    .filter(([, names]) => names.length > 0);
}

/** "modelshrink shrink <model>... [options]". */
export const synopsis = ({ name, operands }: Command): string =>
  ["modelshrink", name, ...operands.map(operandText), "[options]"].join(" ");

/** The words on models and exit codes, the same for all commands. */
const generalNotes = [
  "A model is a file, a folder, an index (model.safetensors.index.json, model.json, the first of several .gguf) " +
    "or an http(s) URL of one; the other files are found beside it. - is a model of one file on standard input, " +
    "which is read into memory whole, up to 4 GiB.",
  "Exit status: 0 done, 1 failed, 2 wrong usage, 3 nothing to do, 130 interrupted.",
] as const;

const wrapped = (lines: readonly string[]) =>
  lines.flatMap((it) => (it.length > width ? wrap(it, width) : [it])).join("\n");

/** The text of `modelshrink --help`: the commands, the recipes' names, and where to read on. */
export function generalHelp(commands: readonly Command[]): string {
  const titles = Object.values(formats).map(({ title }) => title);
  const longest = largestOf(commands.map(({ name }) => name.length));
  return `modelshrink makes models small: ${titles.join(", ")}.

Usage: modelshrink <command> <operands> [options]

Commands:
${indent(commands.map(({ name, summary }) => `${name.padEnd(longest)}  ${summary}`))}

modelshrink help <command> shows what a command takes.

Recipes:
${indent(wrap(Object.keys(presets).join(" "), width - 2))}

${wrapped(generalNotes)}

Examples:
${indent(commands.flatMap(({ examples }) => examples.slice(0, 1)))}
`;
}

/** The text of `modelshrink help <command>`. */
export function commandHelp(command: Command): string {
  const { summary, notes, examples } = command;
  return [
    `Usage: ${synopsis(command)}`,
    ...wrap(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`, width),
    ...optionsByGroup(command).map(
      ([group, names]) => `${optionGroups[group]}:\n${names.map(optionHelp).join("\n")}`,
    ),
    ...(notes?.() ?? []).map((it) => wrapped(it.split("\n"))),
    wrapped(generalNotes),
    `Examples:\n${indent(examples)}\n`,
  ].join("\n\n");
}
