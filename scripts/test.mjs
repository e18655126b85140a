// `node scripts/test.mjs [step…]`: everything `npm test` runs, or only the steps named and what they need. `--all` adds
// the steps that take long. Steps go on after a failure, so that one run shows all that is broken. At the end stand
// the failures once more (a log may have lost its beginning), a table of the steps, and one line of counts.
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildPreset } from "../tests/support/cmake.mjs";
import { root, run } from "../tests/support/run.mjs";
import { clangTidy } from "./lint.mjs";

const cores = availableParallelism();

/** What a step without counts of its own gives: nothing when it is right, else one failure. */
const built = ({ ok, output }) => ({ passed: 0, failed: ok ? 0 : 1, output: ok ? "" : output });

/** A step that died before it could count is one failure. */
const counted = ({ ok, output }, passed, failed) => ({
  passed,
  failed: ok ? failed : Math.max(failed, 1),
  output,
});

/** Counts the lines that begin with a mark. */
function marked(result) {
  const count = (mark) => result.output.split("\n").filter((it) => it.startsWith(mark)).length;
  return counted(result, count("✔"), count("✖"));
}

const script = (name, ...args) => run(process.execPath, [`scripts/${name}.mjs`, ...args]);

/** Builds presets one after the other: each takes all cores. */
async function build(...presets) {
  for (const [preset, ...targets] of presets) {
    const result = await buildPreset(preset, { targets });
    if (!result.ok) return built(result);
  }
  return built({ ok: true });
}

async function ctest() {
  const result = await run("ctest", ["--preset", "native", "--parallel", `${cores}`]);
  const [, failed, all] = /(\d+) tests? failed out of (\d+)/.exec(result.output) ?? [0, 0, 0];
  if (Number(all) === 0) return { passed: 0, failed: 1, output: result.output };
  const output = result.ok ? `✔ ${all} tests` : result.output;
  return counted({ ...result, output }, all - failed, Number(failed));
}

/** Installs the tools of tests/hosts (1.5 GB) when their lock file is newer than they are. */
async function hostPackages() {
  const hosts = join(root, "tests/hosts");
  const modified = (name) => statSync(join(hosts, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (modified("node_modules/.package-lock.json") >= modified("package-lock.json")) {
    return built({ ok: true });
  }
  // Packages that are only tested with want to download more when they are installed.
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  return built(await run("npm", ["ci", "--prefix", hosts, ...quiet]));
}

/** The seed of tests that have one: the same in each run of a commit, another one for the next. Empty outside git. */
async function seedOfCommit() {
  const { ok, output } = await run("git", ["rev-parse", "--short=8", "HEAD"]);
  return ok ? { TEST_SEED: `${Number.parseInt(output, 16)}` } : {};
}

/** A file of tests that takes longer hangs: the longest takes two minutes. */
const maxMilliseconds = 600_000;

/** The *.test.mjs of a folder of tests/, file after file: another step has the other core. */
async function nodeTests(folder) {
  const names = (await readdir(join(root, "tests", folder))).filter((n) => n.endsWith(".test.mjs"));
  const paths = names.sort().map((name) => `tests/${folder}/${name}`);
  const options = ["--test-concurrency=1", "--test-reporter=spec"];
  const args = ["--test", `--test-timeout=${maxMilliseconds}`, ...options, ...paths];
  const env = process.env.TEST_SEED === undefined ? await seedOfCommit() : {};
  const result = await run(process.execPath, args, { env });
  const count = (word) =>
    Number(new RegExp(`^ℹ ${word} (\\d+)$`, "m").exec(result.output)?.[1] ?? 0);
  return counted(result, count("pass"), count("fail") + count("cancelled"));
}

const hashes = ["wasm-simd-package", "wasm-baseline-package"];
const packages = { needs: ["packages"], cores };
const afterBuild = { needs: ["build"], cores: 1 };

/**
 * In the order in which they start. A step starts when what it `needs` was right and as many `cores` are free;
 * `isLong`: only on request.
 */
const steps = {
  packages: { cores, run: async () => built(await run("bash", ["scripts/setup.sh", "test"])) },
  build: { ...packages, run: async () => built(await script("build", "--package")) },
  "build:native": { ...packages, run: () => build(["native"]) },
  "build:hash": {
    needs: ["build"],
    cores,
    run: () => build(...hashes.map((preset) => [preset, "modelshrink_hash"])),
  },
  "build:fuzz": { ...packages, run: () => build(["fuzz"]) },
  native: { needs: ["build:native"], cores, run: ctest },
  // The longest of those that take one core first, so that none is left alone at the end.
  browser: { ...afterBuild, run: () => nodeTests("browser") },
  node: {
    needs: ["build", "build:native", "build:hash"],
    cores: 1,
    run: () => nodeTests("node"),
  },
  "packages:hosts": { needs: ["packages"], cores: 1, isLong: true, run: hostPackages },
  "large-models": {
    ...afterBuild,
    isLong: true,
    run: async () => marked(await script("large-models")),
  },
  hosts: {
    needs: ["build", "packages:hosts"],
    cores: 1,
    isLong: true,
    run: () => nodeTests("hosts"),
  },
  models: { ...afterBuild, run: () => nodeTests("models") },
  package: { ...afterBuild, run: () => nodeTests("package") },
  style: { ...afterBuild, run: async () => marked(await script("lint")) },
  docs: { ...afterBuild, run: () => nodeTests("docs") },
  sizes: { ...afterBuild, run: async () => marked(await script("check-sizes")) },
  audit: { needs: ["packages"], cores: 1, run: async () => marked(await script("audit")) },
  fuzz: {
    needs: ["build:fuzz"],
    cores,
    run: async () => marked(await script("fuzz", "--fixed", "--seconds", "5", "--bits", "64")),
  },
  "fuzz-long": {
    ...packages,
    isLong: true,
    // 64 bits have a step of their own.
    run: async () => marked(await script("fuzz", "--fixed", "--seconds", "10", "--bits", "32")),
  },
  coverage: {
    ...packages,
    isLong: true,
    run: async () => marked(await script("fuzz", "--coverage")),
  },
  "fuzz-runtime": {
    needs: ["build:fuzz"],
    cores,
    isLong: true,
    run: async () => marked(await script("fuzz", "--runtime")),
  },
  "clang-tidy": {
    ...packages,
    isLong: true,
    run: async () => {
      const { ok, output } = await clangTidy({ all: true });
      return counted({ ok, output }, ok ? 1 : 0, ok ? 0 : 1);
    },
  },
};

/** The names of the steps to run. */
function chosenSteps() {
  const { values, positionals } = parseArgs({
    options: { all: { type: "boolean" } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !Object.hasOwn(steps, name));
  if (unknown !== undefined) {
    console.error(`There is no step "${unknown}". Steps: ${Object.keys(steps).join(", ")}`);
    process.exit(2);
  }
  const asked =
    positionals.length > 0
      ? positionals
      : Object.keys(steps).filter((name) => values.all || !steps[name].isLong);
  const chosen = new Set();
  const add = (name) => {
    for (const need of steps[name].needs ?? []) add(need);
    chosen.add(name);
  };
  for (const name of asked) add(name);
  return Object.keys(steps).filter((name) => chosen.has(name));
}

const rows = new Map();

/** Runs one step, shows its output when it has ended, and keeps its row. */
async function runStep(name) {
  const start = performance.now();
  const result = await steps[name].run();
  const seconds = (performance.now() - start) / 1000;
  rows.set(name, { ...result, seconds });
  console.log(`\n\x1b[1m${name}\x1b[0m (${seconds.toFixed(0)} s)\n${result.output.trimEnd()}`);
}

/** Runs what does not fight for the cores beside each other. */
async function runSteps(names) {
  const waiting = new Set(names);
  const running = new Map();
  let free = cores;
  while (waiting.size > 0 || running.size > 0) {
    for (const name of waiting) {
      const needs = steps[name].needs ?? [];
      if (needs.some((it) => rows.get(it)?.failed > 0)) {
        waiting.delete(name);
        rows.set(name, { passed: 0, failed: 1 });
      } else if (needs.every((it) => rows.has(it)) && steps[name].cores <= free) {
        waiting.delete(name);
        free -= steps[name].cores;
        running.set(
          name,
          runStep(name).then(() => {
            free += steps[name].cores;
            running.delete(name);
          }),
        );
      }
    }
    if (running.size > 0) await Promise.race(running.values());
  }
}

/** The lines of a step's output that tell of a failure, each with what follows it: at most 60 lines a step. */
function failures(output) {
  const lines = output.split("\n");
  const last = lines.findLastIndex((line) => line.startsWith("✖ failing tests"));
  const told = last >= 0 ? lines.slice(last + 1) : lines.filter((line) => line.startsWith("✖"));
  return (told.length > 0 ? told : lines.slice(-60)).slice(0, 60).join("\n");
}

/** What failed, with the names of the steps. */
function showFailures() {
  for (const [name, { failed, output }] of rows) {
    if (failed > 0 && output) console.log(`\n\x1b[1mfailed: ${name}\x1b[0m\n${failures(output)}`);
  }
}

/** The table of the steps, in the order in which they ended. */
function showTable() {
  const cells = [["step", "seconds", "passed", "failed"]];
  for (const [name, { seconds, passed, failed }] of rows) {
    cells.push([name, seconds?.toFixed(0) ?? "not run", `${passed}`, `${failed}`]);
  }
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  console.log();
  for (const [name, ...numbers] of cells) {
    const padded = numbers.map((it, i) => it.padStart(widths[i + 1]));
    console.log([name.padEnd(widths[0]), ...padded].join("  "));
  }
}

const start = performance.now();
await runSteps(chosenSteps());
showFailures();
showTable();
const sum = (key) => [...rows.values()].reduce((all, row) => all + row[key], 0);
console.log(`\nThat took ${((performance.now() - start) / 60_000).toFixed(1)} minutes.`);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = sum("failed") ? 1 : 0;
