// The blocks of docs/ that the tests of hosts run: those whose line of the fence says "host <name>".
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pagePaths } from "./docs.mjs";
import { root } from "./run.mjs";

/** The code of the block with this name. Throws when there is none. */
export async function hostBlock(name) {
  for (const page of await pagePaths()) {
    const text = await readFile(join(root, page), "utf8");
    for (const [, found, code] of text.matchAll(/^```\w+ host (\S+)\n([^]*?)^```$/gm)) {
      if (found === name) return code;
    }
  }
  throw new Error(`No page has a block "host ${name}".`);
}
