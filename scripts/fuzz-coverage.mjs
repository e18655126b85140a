// `npm run fuzz -- --coverage`: which lines of the core the committed corpora reach, and which they and the native tests
// reach together, by folder. Some folders have a floor.
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { buildFolder, buildPresetOrExit } from "../tests/support/cmake.mjs";
import { judge, linesByFolder, percent } from "../tests/support/coverage-floor.mjs";
import { root, run, runOrExit } from "../tests/support/run.mjs";

const preset = "coverage";
const folder = buildFolder(preset);
const tests = join(folder, "tests/native/modelshrink_native_tests");

/** Runs a program, whose counts go to a file of its own. Gives that. */
async function profile(name, program, args, env = {}) {
  const path = join(folder, "profiles", `${name}.profraw`);
  const { ok, output } = await run(program, args, { env: { ...env, LLVM_PROFILE_FILE: path } });
  if (ok) return path;
  process.stderr.write(`${output}\n${name}: it failed\n`);
  process.exit(1);
}

/** Lines and covered lines of each file of src, by its path in there. */
async function linesByFile(name, profiles, programs) {
  const merged = join(folder, "profiles", `${name}.profdata`);
  await runOrExit("llvm-profdata", ["merge", "-sparse", "-o", merged, ...profiles]);
  const [first, ...others] = programs;
  const objects = others.flatMap((it) => ["-object", it]);
  const exported = ["export", "-summary-only", `-instr-profile=${merged}`, first, ...objects];
  const output = await runOrExit("llvm-cov", exported);
  // Warnings of functions that differ between programs stand before the JSON.
  const { files } = JSON.parse(output.slice(output.indexOf("{"))).data[0];
  const paths = files.map(({ filename, summary }) => [
    relative(join(root, "src"), filename),
    summary.lines,
  ]);
  return new Map(paths.filter(([path]) => !path.startsWith("..")));
}

/** Runs the tests in as many processes as there are cores. Gives their profiles. */
function profileTests() {
  const shards = availableParallelism();
  return Promise.all(
    Array.from({ length: shards }, (_, i) =>
      profile(`native-${i}`, tests, ["--gtest_brief=1"], {
        GTEST_TOTAL_SHARDS: `${shards}`,
        GTEST_SHARD_INDEX: `${i}`,
      }),
    ),
  );
}

/** Whether all folders are above their floor. */
export async function coverage({ corpus, targets }) {
  const programs = targets.map((it) => join(folder, `tests/fuzz/${it}_replay`));
  const built = [...targets.map((it) => `${it}_replay`), "modelshrink_native_tests"];
  await buildPresetOrExit(preset, { targets: built });
  await rm(join(folder, "profiles"), { recursive: true, force: true });
  await mkdir(join(folder, "profiles"), { recursive: true });
  const replays = await Promise.all(
    targets.map(async (target, i) => {
      const inputs = await readdir(join(corpus, target));
      if (inputs.length === 0) throw new Error(`corpus/${target} is empty`);
      return profile(target, programs[i], [join(corpus, target)]);
    }),
  );
  const ofCorpus = linesByFolder(await linesByFile("corpus", replays, programs));
  const profiles = [...replays, ...(await profileTests())];
  const files = await linesByFile("all", profiles, [...programs, tests]);
  const rows = [...linesByFolder(files)].sort(([a], [b]) => (a < b ? -1 : 1));
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
  const sources = await readdir(join(root, "src"), { recursive: true });
  const judged = judge(
    files,
    sources.filter((path) => path.endsWith(".cc")),
  );
  for (const { line } of judged) console.log(line);
  return judged.every(({ ok }) => ok);
}
