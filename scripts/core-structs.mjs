// The TypeScript of the structs that cross into the WASM module, from the lists of fields that the module is compiled
// with (bindings/wasm/fields.h).
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../tests/support/run.mjs";

const lists = ["array", "step", "model"].map((name) => `bindings/wasm/${name}_fields.def`);

const head = `/**
 * What crosses between JavaScript and the WASM module. Written by scripts/generate.mjs from the lists of fields in
 * bindings/wasm.
 */
import type { FormatName } from "../base/formats.js";
import type { ReasonCode } from "../base/reason-table.js";

/** Bytes in the heap; valid until the next call into the core. */
export interface HeapBytes {
  ptr: number;
  size: number;
}
`;

const docOf = (lines) => (lines.length > 0 ? `/** ${lines.join(" ")} */\n` : "");

/** The declarations of a list: { macro, args, doc, rows }, and rows of { macro, args, doc }. */
function parse(path, text) {
  const declarations = [];
  let doc = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.startsWith("///")) doc.push(line.slice(3).trim());
    if (line === "" || line.startsWith("//")) continue;
    const [, macro, inner = ""] = /^(\w+)(?:\((.*)\))?$/.exec(line) ?? [];
    const row = { macro, args: inner.split(/,\s*/), doc: docOf(doc) };
    doc = [];
    if (["WORDS", "STRUCT", "UNION"].includes(macro)) {
      declarations.push({ ...row, rows: [] });
    } else if (["WORD", "FIELD", "OPTIONAL", "EXTENDS", "CASE"].includes(macro)) {
      declarations.at(-1).rows.push(row);
    } else if (!/^END_(WORDS|STRUCT|UNION)$/.test(macro)) {
      throw new Error(`${path}:${index + 1}: no row of a list of fields`);
    }
  }
  return declarations;
}

/** The last argument may have commas. */
const memberOf = ({ macro, args: [name, , ...kind], doc }) =>
  `${doc}${name}${macro === "OPTIONAL" ? "?" : ""}: ${kind.join(", ")};`;

const basesOf = (rows) =>
  rows.filter(({ macro }) => macro === "EXTENDS").map(({ args }) => args[0]);
const membersOf = (rows) => rows.filter(({ macro }) => macro !== "EXTENDS").map(memberOf);

/** `words`: the TypeScript of an enum's values, by C++ enumerator. */
function unionOf(rows, words) {
  const cases = [];
  for (const row of rows) {
    if (row.macro === "CASE") cases.push({ kind: words.get(row.args[0]), rows: [] });
    else cases.at(-1).rows.push(row);
  }
  return cases.map((it) => {
    const members = [`kind: ${it.kind};`, ...membersOf(it.rows)].join("\n");
    return [`{ ${members} }`, ...basesOf(it.rows)].join(" & ");
  });
}

function print({ macro, args, doc, rows }, words) {
  switch (macro) {
    case "WORDS":
      for (const row of rows) words.set(row.args[1], row.args[0]);
      return `${doc}export type ${args[0]} = ${rows.map((row) => row.args[0]).join(" | ")};\n`;
    case "UNION":
      return `${doc}export type ${args[1]} = ${unionOf(rows, words).join(" | ")};\n`;
    default: {
      const bases = basesOf(rows);
      const from = bases.length > 0 ? ` extends ${bases.join(", ")}` : "";
      return `${doc}export interface ${args[1]}${from} {\n${membersOf(rows).join("\n")}\n}\n`;
    }
  }
}

/** The whole file, not yet formatted. */
export async function coreStructs() {
  const words = new Map();
  const parts = [head];
  for (const path of lists) {
    const text = await readFile(join(root, path), "utf8");
    parts.push(...parse(path, text).map((declaration) => print(declaration, words)));
  }
  return parts.join("\n");
}
