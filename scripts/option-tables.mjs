// Reads the tables of options (bindings/js, base/option-table.ts): the comment above a row is the option's sentence.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { root } from "../tests/support/run.mjs";

/** The tables, by the TypeScript file (from bindings/js, without its ending) and the constant's name. */
export const optionTables = {
  recipe: { file: "recipe/options", name: "recipeOptions" },
  quantize: { file: "arrays/quantize", name: "quantizeOptions" },
};

const commentOf = (row) =>
  (ts.getJSDocCommentsAndTags(row) ?? [])
    .map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "")
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();

/**
 * The sentence of each option of a table, in the table's order. Throws where a row has no comment.
 * @param {{ file: string, name: string }} table
 * @returns {Promise<Record<string, string>>}
 */
export async function sentencesOf({ file, name }) {
  const path = join(root, "bindings/js", `${file}.ts`);
  const text = await readFile(path, "utf8");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const table = source.statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => declarationList.declarations)
    .find((it) => it.name.getText(source) === name);
  if (!table || !ts.isObjectLiteralExpression(table.initializer)) {
    throw new Error(`${path} has no table ${name}`);
  }
  const rows = table.initializer.properties.map((row) => [row.name.text, commentOf(row)]);
  const silent = rows.find(([, sentence]) => sentence === "");
  if (silent) throw new Error(`${path}: option ${silent[0]} has no comment above its row`);
  return Object.fromEntries(rows);
}

const valueOf = ({ kind, words }) =>
  kind === "word"
    ? words.map((word) => `\`"${word}"\``).join(" ")
    : ({ flag: "true, false", integer: "a whole number" }[kind] ?? "");

/**
 * A Markdown table of a table's options. Reads the built library.
 * @param {{ file: string, name: string }} table
 */
export async function optionsMarkdown(table) {
  const rows = (await import(join(root, "dist", `${table.file}.js`)))[table.name];
  const sentences = await sentencesOf(table);
  const cells = Object.entries(sentences).map(([key, sentence]) =>
    [`\`${key}\``, valueOf(rows[key]), sentence.replaceAll("|", "\\|")].join(" | "),
  );
  return [
    "| option | value | meaning |",
    "| --- | --- | --- |",
    ...cells.map((it) => `| ${it} |`),
  ].join("\n");
}
