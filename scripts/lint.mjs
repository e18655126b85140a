// Style, types, layers and sizes. `npm run lint` runs all; `npm test` runs them among its steps.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
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

/** The database is the native build's; one Highway target is enough to read each kernel once. */
async function clangTidy() {
  if (!existsSync(join(root, "build/native/compile_commands.json"))) {
    const configured = await run("cmake", ["--preset", "native"]);
    if (!configured.ok) return configured;
  }
  const sources = files("src/*.cc");
  const tidy = "clang-tidy -quiet -p build/native --extra-arg=-DHWY_COMPILE_ONLY_STATIC";
  const { ok, output } = await run("bash", [
    "-c",
    `printf '%s\\n' "$@" | xargs -P 2 -n 1 ${tidy}`,
    "clang-tidy",
    ...sources,
  ]);
  return { ok, output: output.replace(/^\d+ warnings? (generated|treated as errors?)\.?\n/gm, "") };
}

export const checks = {
  layers: () => node("scripts/check-layers.mjs"),
  "clang-format": clangFormat,
  "clang-tidy": clangTidy,
  "types of the demo": () => node("node_modules/typescript/bin/tsc", "-p", "web", "--noEmit"),
  eslint: () => node("node_modules/eslint/bin/eslint.js", "--max-warnings=0", "."),
  prettier: () =>
    node("node_modules/prettier/bin/prettier.cjs", "--check", "--log-level=warn", "."),
  "generated files": () => node("scripts/generate.mjs", "--check"),
  "generated documentation": () => node("scripts/write-docs.mjs", "--check"),
  // Every exported name has a comment, and every link in one leads somewhere.
  "API reference": () => node("node_modules/typedoc/bin/typedoc", "--emit", "none"),
  sizes: () => node("scripts/check-sizes.mjs"),
};

/** Runs the checks in order and prints a line for each. */
export async function lint() {
  let passed = 0;
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    const start = performance.now();
    const { ok, output } = await check();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${ok ? "✔" : "✖"} ${name} (${seconds} s)`);
    if (!ok) console.log(output);
    if (ok) passed++;
    else failed++;
  }
  return { passed, failed };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = (await lint()).failed ? 1 : 0;
}
