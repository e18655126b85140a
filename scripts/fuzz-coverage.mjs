// `npm run fuzz -- --coverage`: which lines of the core the committed corpora reach, and which they and the native tests
// reach together, by folder. Some folders have a floor.
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { buildFolder, buildPresetOrExit } from "../tests/support/cmake.mjs";
import { root, run, runOrExit } from "../tests/support/run.mjs";

const preset = "coverage";
const folder = buildFolder(preset);
const tests = join(folder, "tests/native/modelshrink_native_tests");
const floor = 80;
/** In src; the tests and corpora reach at least `floor` percent of the lines of each. */
const foldersWithFloor = ["formats", "pipeline", "calibrated", "prune", "sparse"];

/** Runs a program, whose counts go to a file of its own. Gives that. */
async function profile(name, program, args) {
  const path = join(folder, "profiles", `${name}.profraw`);
  const { ok, output } = await run(program, args, { env: { LLVM_PROFILE_FILE: path } });
  if (ok) return path;
  process.stderr.write(`${output}\n${name}: it failed\n`);
  process.exit(1);
}

/** Lines and covered lines by folder: of src, and of the formats' own. */
async function linesByFolder(name, profiles, programs) {
  const merged = join(folder, "profiles", `${name}.profdata`);
  await runOrExit("llvm-profdata", ["merge", "-sparse", "-o", merged, ...profiles]);
  const [first, ...others] = programs;
  const objects = others.flatMap((it) => ["-object", it]);
  const exported = ["export", "-summary-only", `-instr-profile=${merged}`, first, ...objects];
  const output = await runOrExit("llvm-cov", exported);
  // Warnings of functions that differ between programs stand before the JSON.
  const { files } = JSON.parse(output.slice(output.indexOf("{"))).data[0];
  const lines = new Map();
  const add = (key, { count, covered }) => {
    const sum = lines.get(key) ?? { count: 0, covered: 0 };
    lines.set(key, { count: sum.count + count, covered: sum.covered + covered });
  };
  for (const { filename, summary } of files) {
    const [src, ...parts] = relative(root, filename).split("/");
    if (src !== "src") continue;
    add(parts[0], summary.lines);
    for (let i = 2; i < parts.length; ++i) add(parts.slice(0, i).join("/"), summary.lines);
  }
  return lines;
}

const percent = ({ covered, count } = { covered: 0, count: 1 }) => (100 * covered) / count;

/** Whether all folders are above their floor. */
export async function coverage({ corpus, targets }) {
  const programs = targets.map((it) => join(folder, `tests/fuzz/${it}_replay`));
  const built = [...targets.map((it) => `${it}_replay`), "modelshrink_native_tests"];
  await buildPresetOrExit(preset, { targets: built });
  await rm(join(folder, "profiles"), { recursive: true, force: true });
  await mkdir(join(folder, "profiles"), { recursive: true });
  const replays = [];
  for (const [i, target] of targets.entries()) {
    const inputs = await readdir(join(corpus, target));
    if (inputs.length === 0) throw new Error(`corpus/${target} is empty`);
    replays.push(await profile(target, programs[i], [join(corpus, target)]));
  }
  const ofCorpus = await linesByFolder("corpus", replays, programs);
  const native = await profile("native", tests, ["--gtest_brief=1"]);
  const ofAll = await linesByFolder("all", [...replays, native], [...programs, tests]);
  const rows = [...ofAll].sort(([a], [b]) => (a < b ? -1 : 1));
  console.log(`${"".padEnd(24)}   lines   corpus    with native tests`);
  for (const [name, lines] of rows) {
    const cells = [
      `${lines.count}`,
      percent(ofCorpus.get(name)).toFixed(1),
      percent(lines).toFixed(1),
    ];
    console.log(
      `${name.padEnd(24)}${cells.map((it, i) => it.padStart(i === 2 ? 21 : 8)).join(" ")}`,
    );
  }
  await writeFile(join(folder, "coverage.json"), JSON.stringify(rows, null, 1));
  let ok = true;
  for (const name of foldersWithFloor) {
    const reached = percent(ofAll.get(name));
    const isReached = reached >= floor;
    ok &&= isReached;
    console.log(
      `${isReached ? "✔" : "✖"} src/${name}: ${reached.toFixed(1)} % of its lines, at least ${floor} %`,
    );
  }
  return ok;
}
