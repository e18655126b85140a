// `npm run docs`: writes the parts of README.md and docs/ that are taken from elsewhere: the figures from measured
// tables, the command's reference from its own tables. `--check` writes nothing and fails where a part is not up to date.
import { readPart, writePart } from "../tests/support/docs.mjs";
import { choosingFigures, figures } from "../tests/support/figures.mjs";
import { commandReference } from "./command-reference.mjs";
import { functionOptions } from "./function-options.mjs";
import { optionsMarkdown, optionTables } from "./option-tables.mjs";

const parts = {
  "recipe-options": () => optionsMarkdown(optionTables.recipe),
  "quantize-options": () => optionsMarkdown(optionTables.quantize),
  "function-options": functionOptions,
  figures: () => figures(readPart),
  choosing: () => choosingFigures(readPart),
  commands: commandReference,
};

const isCheck = process.argv.includes("--check");
for (const [name, make] of Object.entries(parts)) {
  const markdown = await make();
  if (markdown === (await readPart(name))) continue;
  if (isCheck) {
    console.error(`The part "${name}" is not up to date: run npm run docs.`);
    process.exitCode = 1;
  } else {
    await writePart(name, markdown);
    console.log(`Wrote the part "${name}".`);
  }
}
