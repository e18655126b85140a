// Everything `npm test` runs, ending with one line of counts. The steps go on after a failure, so that one
// run shows all that is broken.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { lint } from "./lint.mjs";
import { root, run, runOrExit } from "../tests/support/run.mjs";

const title = (text) => console.log(`\n\x1b[1m${text}\x1b[0m`);

/** A step that died before it could count is one failure. */
const counts = (ok, passed, failed) => ({ passed, failed: ok ? failed : Math.max(failed, 1) });

async function nativeTests() {
  title("Native tests");
  if (!existsSync(join(root, "build/native/build.ninja"))) {
    await runOrExit("cmake", ["--preset", "native"]);
  }
  const build = await run("cmake", ["--build", "--preset", "native", "--parallel", "2"]);
  if (!build.ok) {
    console.log(build.output);
    return { passed: 0, failed: 1 };
  }
  const { ok, output } = await run("ctest", ["--preset", "native", "--parallel", "2"]);
  const summary = /(\d+) tests? failed out of (\d+)/.exec(output);
  console.log(ok ? `✔ ${summary?.[2] ?? 0} tests` : output);
  if (!summary || Number(summary[2]) === 0) return { passed: 0, failed: 1 };
  return counts(ok, summary[2] - summary[1], Number(summary[1]));
}

async function nodeTests(folder) {
  title(`tests/${folder}`);
  const names = (await readdir(join(root, "tests", folder))).filter((n) => n.endsWith(".test.mjs"));
  const files = names.sort().map((name) => `tests/${folder}/${name}`);
  const { ok, output } = await run(process.execPath, ["--test", "--test-reporter=spec", ...files]);
  console.log(output.trimEnd());
  const count = (word) => Number(new RegExp(`^ℹ ${word} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return counts(ok, count("pass"), count("fail") + count("cancelled"));
}

/** A short run of every fuzz target; each counts as a test. */
async function fuzzing() {
  title("Fuzzing");
  const tools = await run("bash", ["scripts/setup.sh", "--fuzz"]);
  if (!tools.ok) {
    console.log(tools.output);
    return { passed: 0, failed: 1 };
  }
  const { ok, output } = await run(process.execPath, ["scripts/fuzz.mjs", "--seconds", "5"]);
  console.log(output.trimEnd());
  const count = (mark) => output.split("\n").filter((line) => line.startsWith(mark)).length;
  return counts(ok, count("✔"), count("✖"));
}

const total = { passed: 0, failed: 0 };
const add = ({ passed, failed }) => {
  total.passed += passed;
  total.failed += failed;
};

add(await nativeTests());
title("Style, types, layers, sizes");
add(await lint());
for (const folder of ["node", "models", "package", "browser", "docs"]) add(await nodeTests(folder));
add(await fuzzing());

console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed ? 1 : 0;
