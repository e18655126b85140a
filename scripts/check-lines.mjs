// Holds the prose of every Markdown file to 120 columns: a diff then shows the words that changed. Blocks of code, tables,
// and the parts that scripts write are as long as they are.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../tests/support/run.mjs";

const maxColumns = 120;

/** The numbers of the lines of prose that are too long. */
function longLines(text) {
  const found = [];
  let isCode = false;
  let isGenerated = false;
  for (const [i, line] of text.split("\n").entries()) {
    if (/^ *```/.test(line)) isCode = !isCode;
    if (/^<!-- \S+:begin -->$/.test(line)) isGenerated = true;
    if (/^<!-- \S+:end -->$/.test(line)) isGenerated = false;
    const isProse = !isCode && !isGenerated && !/^ *\|/.test(line);
    if (isProse && [...line].length > maxColumns) found.push(i + 1);
  }
  return found;
}

const args = ["ls-files", "-co", "--exclude-standard", "--", "*.md"];
const names = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\n");
for (const name of names.filter(Boolean)) {
  const text = await readFile(join(root, name), "utf8").catch(() => "");
  for (const line of longLines(text)) {
    console.error(`${name}:${line} has more than ${maxColumns} columns.`);
    process.exitCode = 1;
  }
}
