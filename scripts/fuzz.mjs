// `npm run fuzz -- --seconds 60 --bits both [target…]`: each fuzz target for so long, in 64 and in 32 bits
// (as WebAssembly has them), from its committed corpus and what earlier runs found. Inputs that break
// something stay in build/findings, and the others go on. First every allocation of a run fails once
// under the sanitizers.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildFolder, buildPresetOrExit } from "../tests/support/cmake.mjs";
import { root, run } from "../tests/support/run.mjs";

const jobs = 2;
const maxInputBytes = 65536;

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    bits: { type: "string", default: "both" },
  },
  allowPositionals: true,
});
const corpus = join(root, "tests/fuzz/corpus");
const allTargets = await readdir(corpus);
const targets = positionals.length > 0 ? positionals : allTargets;
const widths = { 32: [32], 64: [64], both: [64, 32] }[values.bits];
const unknown = targets.find((target) => !allTargets.includes(target));
if (!widths || !(Number(values.seconds) > 0) || unknown) {
  process.stderr.write(
    `usage: npm run fuzz -- [--seconds N] [--bits 32|64|both] [target…]\ntargets: ${allTargets.join(", ")}\n`,
  );
  process.exit(2);
}
const presetOf = (bits) => (bits === 32 ? "fuzz32" : "fuzz");
const programOf = (bits, path) => join(buildFolder(presetOf(bits)), "tests", path);

async function failAllocations(bits) {
  const { ok, output } = await run(programOf(bits, "faults/allocation_faults_fuzz"), [corpus]);
  const runs = [...output.matchAll(/: (\d+) runs: /g)].reduce((sum, it) => sum + Number(it[1]), 0);
  console.log(`${ok ? "✔" : "✖"} failing allocations, ${bits} bits: ${runs} runs`);
  if (!ok) console.log(output);
  return ok;
}

async function fuzz({ target, bits }) {
  const found = join(root, "build/corpus", target);
  const findings = join(root, "build/findings");
  await mkdir(found, { recursive: true });
  await mkdir(findings, { recursive: true });
  const { ok, output } = await run(programOf(bits, `fuzz/${target}_fuzz`), [
    `-max_total_time=${values.seconds}`,
    `-max_len=${maxInputBytes}`,
    "-rss_limit_mb=1024",
    "-timeout=10",
    "-print_final_stats=1",
    `-artifact_prefix=${findings}/${target}-${bits}-`,
    found,
    join(corpus, target),
  ]);
  const runs = /number_of_executed_units: (\d+)/.exec(output)?.[1] ?? "?";
  const size = [...output.matchAll(/ corp: (\d+)\//g)].at(-1)?.[1] ?? "?";
  const artifact = /Test unit written to (\S+)/.exec(output)?.[1];
  const finding = ok ? "no findings" : `finding: ${artifact ?? "see below"}`;
  console.log(
    `${ok ? "✔" : "✖"} ${target}, ${bits} bits: ${runs} runs, corpus of ${size}, ${finding}`,
  );
  if (!ok) console.log(output.split("\n").slice(-60).join("\n"));
  return ok;
}

let ok = true;
for (const bits of widths) {
  await buildPresetOrExit(presetOf(bits));
  ok = (await failAllocations(bits)) && ok;
}
const queue = widths.flatMap((bits) => targets.map((target) => ({ target, bits })));
const work = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) ok = (await fuzz(next)) && ok;
};
await Promise.all(Array.from({ length: jobs }, work));
process.exitCode = ok ? 0 : 1;
