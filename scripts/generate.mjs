// `npm run generate`: writes the files that come from tables and texts elsewhere. `--check` writes nothing and fails
// where a file is not up to date.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { coreStructs } from "./core-structs.mjs";
import { numberTypes } from "./number-types.mjs";
import { optionTables, sentencesOf } from "./option-tables.mjs";
import { thirdPartyNotices } from "./third-party-notices.mjs";
import { reasonTable } from "../tests/support/reason-table.mjs";
import { root } from "../tests/support/run.mjs";

async function optionTexts() {
  const texts = {};
  for (const [name, table] of Object.entries(optionTables)) texts[name] = await sentencesOf(table);
  return (
    "/** The sentences of options for help texts and forms. Written by scripts/generate.mjs from the options' tables. */\n" +
    `export const optionTexts: Readonly<Record<string, Readonly<Record<string, string>>>> = ${JSON.stringify(texts)};\n`
  );
}

const files = {
  "bindings/js/base/reason-table.ts": reasonTable,
  "bindings/js/core/structs.ts": coreStructs,
  "bindings/js/arrays/number-types.ts": numberTypes,
  "bindings/js/option-texts.ts": optionTexts,
  THIRD_PARTY_NOTICES: thirdPartyNotices,
};

const isCheck = process.argv.includes("--check");
for (const [name, make] of Object.entries(files)) {
  const path = join(root, name);
  const made = await make().catch((error) => {
    // Another Emscripten than Debian's is no reason to fail; whoever reads the output sees what was not looked at.
    if (error.code !== "ENOENT") throw error;
    console.error(`${name} is not looked at: ${error.path} is missing.`);
  });
  if (made === undefined) continue;
  const config = await resolveConfig(path);
  const text = name.endsWith(".ts") ? await format(made, { ...config, filepath: path }) : made;
  if (text === (await readFile(path, "utf8").catch(() => ""))) continue;
  if (isCheck) {
    console.error(`${name} is not up to date: run npm run generate.`);
    process.exitCode = 1;
  } else {
    await writeFile(path, text);
    console.log(`Wrote ${name}.`);
  }
}
