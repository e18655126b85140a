/** Completion for shells, made from the tables of commands and options. */
import { presets } from "../recipe/presets.js";
import type { Command, Operand } from "./command.js";
import { options, type OptionName } from "./options.js";
import { UsageError } from "./usage-error.js";

/** The words that can stand for a value: undefined where nothing is known; paths are offered, too, with `paths`. */
interface Choice {
  words: readonly string[];
  paths: boolean;
}

function valueChoice(name: OptionName): Choice | undefined {
  const { kind, completes } = options[name];
  if (kind === "flag" || completes === undefined) return undefined;
  if (completes === "path") return { words: [], paths: true };
  if (completes === "recipe") return { words: Object.keys(presets), paths: true };
  return { words: completes, paths: false };
}

function operandChoice(operand: Operand | undefined, commands: readonly Command[]): Choice {
  if (!operand || operand.completes === "path") return { words: [], paths: operand !== undefined };
  if (operand.completes !== "command") return { words: operand.completes, paths: false };
  return { words: commands.map(({ name }) => name), paths: false };
}

const takesValue = (name: OptionName) => options[name].kind !== "flag";

/** "-o", "--output". */
const spellings = (name: OptionName) => {
  const { short } = options[name];
  return [...(short ? [`-${short}`] : []), `--${name}`];
};

const singleQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The first clause of an option's sentence, short enough for a list. */
const clauseOf = (name: OptionName) => options[name].sentence.split(/[.;:](?: |$)/)[0]!;

/** All options that any of the commands has. */
const usedOptions = (commands: readonly Command[]) =>
  (Object.keys(options) as OptionName[]).filter((name) =>
    commands.some((command) => command.options.includes(name)),
  );

function bashCompletion(commands: readonly Command[]): string {
  const words = (list: readonly string[]) =>
    `COMPREPLY=($(compgen -W ${singleQuoted(list.join(" "))} -- "$word"))`;
  const values = usedOptions(commands)
    .filter(takesValue)
    .map((name) => {
      const list = valueChoice(name)?.words ?? [];
      const action = list.length > 0 ? `${words(list)}; ` : "";
      return `    ${spellings(name).join("|")}) ${action}return ;;`;
    });
  const own = commands.map(({ name, operands, options: names }) => {
    const list = operandChoice(operands[0], commands).words;
    const operand = list.length > 0 ? ` else ${words(list)};` : "";
    return (
      `    ${name}) if [[ $word == -* ]]; then ${words(names.flatMap(spellings))};` +
      `${operand} fi ;;`
    );
  });
  const first = [...commands.map(({ name }) => name), "--help", "--version"];
  return `# Completion of modelshrink for bash. Paths are completed by readline where nothing else is offered.
_modelshrink() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    ${words(first)}
    return
  fi
  case $previous in
${values.join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${own.join("\n")}
  esac
}
complete -o default -F _modelshrink modelshrink
`;
}

function zshCompletion(commands: readonly Command[]): string {
  const escaped = (text: string) => text.replace(/[\\[\]:]/g, "\\$&");
  const action = ({ words, paths }: Choice) => {
    const list = words.map((it) => it.replace(/[\\ ():]/g, "\\$&")).join(" ");
    if (!paths) return `(${list})`;
    return words.length > 0 ? `{_modelshrink_words_or_files ${list}}` : "_files";
  };
  const optionSpec = (name: OptionName) => {
    const { kind, value = "" } = options[name];
    const all = spellings(name);
    const choice = valueChoice(name);
    const argument = takesValue(name)
      ? `:${escaped(value.replace(/[<>]/g, ""))}:${choice ? action(choice) : " "}`
      : "";
    const excluded = kind === "list" ? "*" : `(${all.join(" ")})`;
    return all.map(
      (spelling) =>
        `      ${singleQuoted(`${excluded}${spelling}[${escaped(clauseOf(name))}]${argument}`)}`,
    );
  };
  const operandSpec = (operand: Operand, i: number) => {
    const place = operand.count === "many" ? "*" : String(i + 1);
    const choice = action(operandChoice(operand, commands));
    return `      ${singleQuoted(`${place}:${operand.name}:${choice}`)}`;
  };
  const own = commands.map(({ name, operands, options: names }) => {
    const specs = [...names.flatMap(optionSpec), ...operands.map(operandSpec)];
    return `    ${name})\n      _arguments \\\n${specs.join(" \\\n")} ;;`;
  });
  const list = commands.map(
    ({ name, summary }) => `    ${singleQuoted(`${name}:${escaped(summary)}`)}`,
  );
  return `#compdef modelshrink
# Completion of modelshrink for zsh.
_modelshrink_words_or_files() {
  _alternative "words:word:($*)" "files:file:_files"
}
_modelshrink() {
  local -a commands
  commands=(
${list.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${own.join("\n")}
  esac
}
if [[ $funcstack[1] == _modelshrink ]]; then
  _modelshrink "$@"
else
  compdef _modelshrink modelshrink
fi
`;
}

function fishCompletion(commands: readonly Command[]): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const values = (choice: Choice | undefined) => {
    if (!choice) return " -x";
    const list = choice.words.length > 0 ? ` -a ${quoted(choice.words.join(" "))}` : "";
    return (choice.paths ? " -r -F" : " -x") + list;
  };
  const own = commands.flatMap((command) => {
    const start = `complete -c modelshrink -n '__fish_seen_subcommand_from ${command.name}'`;
    const rows = command.options.map((name) => {
      const { short } = options[name];
      const argument = takesValue(name) ? values(valueChoice(name)) : "";
      return `${start}${short ? ` -s ${short}` : ""} -l ${name}${argument} -d ${quoted(clauseOf(name))}`;
    });
    const { words, paths } = operandChoice(command.operands[0], commands);
    if (paths) return [...rows, `${start} -F`];
    return words.length > 0 ? [...rows, `${start} -a ${quoted(words.join(" "))}`] : rows;
  });
  const list = commands.map(
    ({ name, summary }) =>
      `complete -c modelshrink -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
  );
  return `# Completion of modelshrink for fish.
complete -c modelshrink -f
complete -c modelshrink -n __fish_use_subcommand -s h -l help -d 'show help'
complete -c modelshrink -n __fish_use_subcommand -l version -d 'show the version'
${[...list, ...own].join("\n")}
`;
}

const writers = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** The shells that have completion. */
export const shells: readonly string[] = Object.keys(writers);

/** The script that makes a shell complete the command; a UsageError for any other shell. */
export function completionOf(shell: string, commands: readonly Command[]): string {
  if (Object.hasOwn(writers, shell)) return writers[shell as keyof typeof writers](commands);
  throw new UsageError(`There is no completion for "${shell}"; there is for ${shells.join(", ")}.`);
}
