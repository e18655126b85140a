// The reference of the command in docs/command.md, made from the same tables as its help.
import { commands } from "../dist/cli/commands.js";
import { optionsByGroup, optionText, synopsis } from "../dist/cli/help.js";
import { optionGroups } from "../dist/cli/option-row.js";
import { options } from "../dist/cli/options.js";

const sentence = (text) =>
  `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
const code = (text) => `\`${text}\``;
const inCell = (text) => text.replaceAll("|", "\\|");

/** `text` with names in angle brackets as code, which Markdown would take for HTML. */
const marked = (text) => inCell(text).replaceAll(/<[^ >]+>(?:\.<[^>]+>|\.\w+)*\/?/g, code);

const names = (list) => list.map(({ name }) => code(name)).join(", ");

/** Headings of options with their rows; each row says which commands have it. */
function optionTables() {
  return Object.entries(optionGroups).map(([group, title]) => {
    const rows = Object.keys(options)
      .filter((name) => options[name].group === group)
      .map((name) => {
        const takers = commands.filter((command) => command.options.includes(name));
        const { sentence: first, details = [] } = options[name];
        const text = [first, ...details].map(marked).join(" ");
        const whose = takers.length === commands.length ? "all" : names(takers);
        return `| ${inCell(code(optionText(name)))} | ${whose} | ${text} |`;
      });
    return [`### ${title}`, "", "| option | of | |", "| --- | --- | --- |", ...rows].join("\n");
  });
}

/** The part "commands" of the page: a table of commands, and one of options under each heading. */
export function commandReference() {
  const rows = commands.map(
    (command) => `| ${code(synopsis(command))} | ${sentence(command.summary)} |`,
  );
  const table = ["| command | |", "| --- | --- |", ...rows].join("\n");
  const used = new Set(commands.flatMap((command) => optionsByGroup(command).map(([it]) => it)));
  if (used.size !== Object.keys(optionGroups).length) throw new Error("A heading has no options.");
  return [table, ...optionTables()].join("\n\n");
}
