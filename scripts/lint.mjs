// Style, types and layers. `npm run lint` runs all; `npm test` runs them among its steps.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, run } from "../tests/support/run.mjs";

const files = (...patterns) =>
  execFileSync("git", ["ls-files", "-co", "--exclude-standard", "--", ...patterns], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file && existsSync(join(root, file)));

const node = (script, ...args) => run(process.execPath, [script, ...args]);

async function clangFormat() {
  const sources = files("*.cc", "*.h");
  return run("clang-format", ["--dry-run", "-Werror", ...sources]);
}

/** Sources of src/ that differ from what was pushed, or include a header that does. */
async function changedSources(all) {
  const git = (...args) => run("git", args);
  const base = await git("merge-base", "HEAD", "origin/main");
  const diff = await git("diff", "--name-only", base.ok ? base.output.trim() : "HEAD");
  const untracked = await git("ls-files", "--others", "--exclude-standard", "src");
  const changed = new Set(`${diff.output}\n${untracked.output}`.split("\n"));
  const headers = [...changed].filter((it) => /^src\/.*\.h$/.test(it));
  const includes = headers.map((it) => `#include "${it.slice("src/".length)}"`);
  const isChanged = async (source) => {
    if (changed.has(source)) return true;
    const text = await readFile(join(root, source), "utf8");
    return includes.some((include) => text.includes(include));
  };
  const flags = await Promise.all(all.map(isChanged));
  return all.filter((_, i) => flags[i]);
}

/**
 * Clang-tidy over the sources that changed, or over all: those take minutes. One Highway target is enough to
 * read each kernel once.
 */
export async function clangTidy({ all = false } = {}) {
  const configured = await run("cmake", ["--preset", "tidy"]);
  if (!configured.ok) return configured;
  const sources = files("src/*.cc");
  const chosen = all ? sources : await changedSources(sources);
  const { ok, output } = await run("bash", [
    "-c",
    `printf '%s\\n' "$@" | xargs -r -P ${availableParallelism()} -n 1 clang-tidy -quiet -p build/tidy`,
    "clang-tidy",
    ...chosen,
  ]);
  return {
    ok,
    output: output.replace(/^\d+ warnings? (generated|treated as errors?)\.?\n/gm, ""),
    detail: `${chosen.length} of ${sources.length} files`,
  };
}

export const checks = {
  layers: () => node("scripts/check-layers.mjs"),
  "clang-format": clangFormat,
  "clang-tidy": () => clangTidy(),
  "types of the demo": () => node("node_modules/typescript/bin/tsc", "-p", "web", "--noEmit"),
  eslint: () => node("node_modules/eslint/bin/eslint.js", "--max-warnings=0", "."),
  prettier: () =>
    node("node_modules/prettier/bin/prettier.cjs", "--check", "--log-level=warn", "."),
  "lines of prose": () => node("scripts/check-lines.mjs"),
  "generated files": () => node("scripts/generate.mjs", "--check"),
  "generated documentation": () => node("scripts/write-docs.mjs", "--check"),
  // Every exported name has a comment, and every link in one leads somewhere.
  "API reference": () => node("node_modules/typedoc/bin/typedoc", "--emit", "none"),
};

/** Runs the checks in order and prints a line for each. */
export async function lint() {
  let passed = 0;
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    const start = performance.now();
    const { ok, output, detail } = await check();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${ok ? "✔" : "✖"} ${name} (${detail ? `${detail}, ` : ""}${seconds} s)`);
    if (!ok) console.log(output);
    if (ok) passed++;
    else failed++;
  }
  return { passed, failed };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = (await lint()).failed ? 1 : 0;
}
