// `npm run fuzz -- --seconds 60 [target]`: each fuzz target from its committed corpus, for so long. What it
// finds on the way stays in build/fuzz; an input that breaks something is left there and ends the run.
import { mkdir, readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root, runOrExit } from "./run.mjs";

const { values, positionals } = parseArgs({
  options: { seconds: { type: "string", default: "60" } },
  allowPositionals: true,
});

const build = join(root, "build/fuzz");
if (!existsSync(join(build, "build.ninja"))) await runOrExit("cmake", ["--preset", "fuzz"]);
await runOrExit("cmake", ["--build", "--preset", "fuzz", "--parallel", "2"]);

const corpus = join(root, "tests/fuzz/corpus");
const targets = positionals.length > 0 ? positionals : await readdir(corpus);
for (const target of targets) {
  const found = join(build, "corpus", target);
  await mkdir(found, { recursive: true });
  const options = [
    `-max_total_time=${values.seconds}`,
    "-max_len=65536",
    "-rss_limit_mb=1024",
    "-timeout=10",
    `-artifact_prefix=${build}/`,
  ];
  const program = join(build, "tests/fuzz", `${target}_fuzz`);
  const output = await runOrExit(program, [...options, found, join(corpus, target)]);
  console.log(`${target}: ${output.trim().split("\n").at(-1)}`);
}
