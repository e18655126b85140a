// The codes of src/formats/reasons.def for TypeScript, and the sentences of those that the recipe gives.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./run.mjs";

const literal = String.raw`"(?:[^"\\]|\\.)*"`;
const row = new RegExp(
  String.raw`^MODELSHRINK_(RECIPE_)?REASON\(k\w+,\s*"(\w+)",\s*(${literal}(?:\s+${literal})*)\)`,
  "gm",
);

/** The rows of the table: { code, sentence, isRecipe }. */
export async function reasonRows() {
  const text = await readFile(join(root, "src/formats/reasons.def"), "utf8");
  const rows = [...text.matchAll(row)].map(([, recipe, code, literals]) => ({
    code,
    sentence: literals.match(new RegExp(literal, "g")).map(JSON.parse).join(""),
    isRecipe: recipe !== undefined,
  }));
  const numRows = text.match(/^MODELSHRINK_\w+\(/gm).length;
  if (rows.length !== numRows) throw new Error("a row of reasons.def was not understood");
  return rows;
}

/** The whole file, not yet formatted. */
export async function reasonTable() {
  const rows = await reasonRows();
  const union = rows.map(({ code }) => `| ${JSON.stringify(code)}`).join("\n");
  const sentences = rows
    .filter(({ isRecipe }) => isRecipe)
    .map(({ code, sentence }) => `${code}: ${JSON.stringify(sentence)},`)
    .join("\n");
  return `/**
 * Why tensors stay as they are, or become something else than asked. Written by scripts/generate.mjs from
 * src/formats/reasons.def, which has a sentence for each code.
 */

/** The code of a reason. */
export type ReasonCode =
${union};

/** The sentences of the reasons that the recipe gives, and not the core. */
export const recipeSentences = {
${sentences}
} as const satisfies Partial<Record<ReasonCode, string>>;
`;
}
