// The options of the functions that read or write models, as docs/models.md has them: from the comments of their types.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { root } from "../tests/support/run.mjs";

const files = ["files/raw", "models/types", "shrink"];

/** The type of each function's options. */
const typeOf = {
  shrink: "ShrinkOptions",
  restore: "RestoreOptions",
  plan: "SurveyOptions",
  compare: "CompareOptions",
  inspect: "RunOptions",
  readTensor: "ReadOptions",
};

const oneLine = (text) => text.replace(/\s+/g, " ").trim();

/** What an interface extends: the name of another, and the members that Omit leaves out of it. */
function baseOf({ expression, typeArguments: [type, left] = [] }, source) {
  if (!left) return { name: expression.getText(source), without: [] };
  const words = ts.isUnionTypeNode(left) ? left.types : [left];
  return { name: type.getText(source), without: words.map(({ literal }) => literal.text) };
}

/** The interfaces of the files by name: what they extend, and the comments of their own members. */
async function readInterfaces() {
  const found = {};
  for (const file of files) {
    const path = join(root, "bindings/js", `${file}.ts`);
    const text = await readFile(path, "utf8");
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    for (const it of source.statements.filter(ts.isInterfaceDeclaration)) {
      const bases = (it.heritageClauses ?? []).flatMap(({ types }) => types);
      found[it.name.text] = {
        bases: bases.map((type) => baseOf(type, source)),
        members: it.members.map((member) => [
          member.name?.getText(source),
          oneLine(ts.getTextOfJSDocComment(member.jsDoc?.at(-1)?.comment) ?? ""),
        ]),
      };
    }
  }
  return found;
}

/** All members of an interface: its own first, then what it has from others. */
function membersOf(interfaces, name) {
  const it = interfaces[name];
  if (!it) throw new Error(`bindings/js has no interface ${name} in ${files.join(", ")}.`);
  const others = it.bases.flatMap(({ name: base, without }) =>
    membersOf(interfaces, base).filter(([member]) => !without.includes(member)),
  );
  return [...it.members, ...others];
}

/** A Markdown table: a row for each option, or for each meaning of it where functions take it differently. */
export async function functionOptions() {
  const interfaces = await readInterfaces();
  const rows = new Map();
  for (const [name, type] of Object.entries(typeOf)) {
    for (const [option, sentence] of membersOf(interfaces, type)) {
      if (sentence === "") throw new Error(`${type}.${option} has no comment.`);
      const key = `${option} ${sentence}`;
      if (!rows.has(key)) rows.set(key, { option, sentence, functions: [] });
      rows.get(key).functions.push(`\`${name}\``);
    }
  }
  return [
    "| option | of | meaning |",
    "| --- | --- | --- |",
    ...[...rows.values()].map(
      ({ option, sentence, functions }) =>
        `| \`${option}\` | ${functions.join(", ")} | ${sentence.replaceAll("|", "\\|")} |`,
    ),
  ].join("\n");
}
