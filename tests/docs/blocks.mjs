// The fenced blocks of README.md and docs/, and what has to be true of each.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pagePaths } from "../support/docs.mjs";
import { root } from "../support/run.mjs";

/** A first line like this in a block says why the tests do not run it; readers see it, too. */
const notRunMark = /^\s*(?:\/\/|#|<!--)\s*Not run by the tests: (\S.*)/;

/** How blocks of each language are run; a block of another language is an error. */
const kinds = {
  ...{ js: "script", ts: "script", html: "html", sh: "shell", json: "json", text: "text" },
  // Only tests of hosts compile it.
  jsx: "host",
};

/**
 * All blocks in order: {page, name, language, kind, where, file, code, notRun}. The words after the language are
 * "page" (run it in a browser), "host" and a name (tests/package or tests/hosts run it) or the name of the file that the
 * block is.
 */
export async function readBlocks() {
  const blocks = [];
  for (const page of await pagePaths()) {
    const text = await readFile(join(root, page), "utf8");
    for (const match of text.matchAll(/^( *)```(\S*) ?(.*)\n([^]*?)^\1```$/gm)) {
      const [, indent, language, words, body] = match;
      const line = text.slice(0, match.index).split("\n").length;
      const name = `${page}:${line}`;
      const kind = kinds[language];
      if (kind === undefined)
        throw new Error(`${name} is a block of unknown language "${language}".`);
      const code = body.replaceAll(new RegExp(`^${indent}`, "gm"), "");
      const isPage = words === "page";
      const host = /^host (\S+)$/.exec(words)?.[1];
      blocks.push({
        ...{ page, name, language, code, host },
        kind: host === undefined ? kind : "host",
        where: isPage || kind === "html" ? "browser" : "node",
        file: isPage || host !== undefined || words === "" ? undefined : words,
        notRun: notRunMark.exec(code)?.[1],
      });
    }
  }
  return blocks;
}
