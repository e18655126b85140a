// `npm run fuzz -- [--seconds N] [--bits both] [--seed N] [target…]`: each fuzz target for so long, in 64 and in 32 bits
// (as WebAssembly has them), from its committed corpus and what earlier runs found. Inputs that break something stay in
// build/findings, and the others go on. First every allocation of a run fails once under the sanitizers.
//
// `--fixed`: a number of runs instead of a time, always the same seed, and nothing of earlier runs, so that a commit has
// the same inputs each time. `--seconds` is then how long that takes on one of two cores, roughly. How deep the stack
// gets is a feature of an input, and where it begins moves that by some bytes: so addresses are not random then, and the
// environment, which lies on the stack, is always the same. Other paths, or a system that does not allow the former,
// still make a few inputs differ.
import { randomInt } from "node:crypto";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildFolder, buildPresetOrExit } from "../tests/support/cmake.mjs";
import { root, run } from "../tests/support/run.mjs";

const jobs = 2;
/** Larger inputs are slow, and few are new. */
const maxInputBytes = 8192;
const fixedSeed = 1;
/** Whole stacks of allocations, and 256 MiB of freed memory, would cost a quarter of the time. */
const env = { ASAN_OPTIONS: "malloc_context_size=2:quarantine_size_mb=32" };
/** How many runs of a target `--fixed` counts as a second. */
const runsPerSecond = {
  gguf_reader: 10000,
  json: 20000,
  masks: 4000,
  onnx_reader: 1800,
  safetensors_reader: 6000,
  shrink_roundtrip: 300,
  sparse: 80000,
  tensor_decoder: 5000,
  tensor_encoder: 2500,
  tfjs_reader: 10000,
  unpack: 300,
};

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    bits: { type: "string", default: "both" },
    seed: { type: "string" },
    fixed: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    runtime: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const corpus = join(root, "tests/fuzz/corpus");
const allTargets = (await readdir(corpus)).sort();
const targets = positionals.length > 0 ? positionals : allTargets;
const widths = { 32: [32], 64: [64], both: [64, 32] }[values.bits];
const seconds = Number(values.seconds);
const seed = values.fixed ? fixedSeed : Number(values.seed ?? randomInt(1, 2 ** 31));
const isSeed = Number.isInteger(seed) && seed > 0 && seed < 2 ** 32;
const hasOneSeed = !(values.fixed && values.seed !== undefined);
const unknown = targets.find((target) => !allTargets.includes(target));
if (!widths || !(seconds > 0) || !isSeed || !hasOneSeed || unknown) {
  process.stderr.write(
    "usage: npm run fuzz -- [--seconds N] [--bits 32|64|both] [--seed N | --fixed] [target…]\n" +
      "       npm run fuzz -- --coverage | --runtime\n" +
      `targets: ${allTargets.join(", ")}\n`,
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

/** The files of a target's committed corpus, in an order that no file system chooses. */
async function seedsOf(target) {
  const names = await readdir(join(corpus, target));
  return names.sort().map((name) => join(corpus, target, name));
}

/** How long libFuzzer goes on, and from what. */
async function startOf(target) {
  if (values.fixed) {
    if (!(target in runsPerSecond)) throw new Error(`runsPerSecond has no ${target}`);
    const runs = Math.ceil(runsPerSecond[target] * seconds);
    // Operands of comparisons, which libFuzzer would try as bytes of the input, may be addresses.
    return [`-runs=${runs}`, "-use_cmp=0", `-seed_inputs=${(await seedsOf(target)).join(",")}`];
  }
  const found = join(root, "build/corpus", target);
  await mkdir(found, { recursive: true });
  return [`-max_total_time=${seconds}`, found, join(corpus, target)];
}

/** Gives a command and its arguments as they are run, with `env` beside what the system has or, if fixed, alone. */
async function fixedIfAsked(command, args) {
  if (!values.fixed) return [command, args];
  // PATH: the sanitizers find their symbolizer by it.
  const kept = Object.entries({ ...env, PATH: process.env.PATH });
  const alone = ["-i", ...kept.map(([name, value]) => `${name}=${value}`), command];
  const { ok } = await run("setarch", ["-R", "true"]);
  return ok ? ["setarch", ["-R", "env", ...alone, ...args]] : ["env", [...alone, ...args]];
}

async function runTarget({ target, bits }) {
  const findings = join(root, "build/findings");
  await mkdir(findings, { recursive: true });
  const args = [
    `-seed=${seed}`,
    `-max_len=${maxInputBytes}`,
    // Its upkeep grows with edges times corpus, and costs more than the targets themselves.
    "-entropic=0",
    "-rss_limit_mb=1024",
    "-timeout=10",
    "-print_final_stats=1",
    `-artifact_prefix=${findings}/${target}-${bits}-`,
    ...(await startOf(target)),
  ];
  return run(...(await fixedIfAsked(programOf(bits, `fuzz/${target}_fuzz`), args)), { env });
}

async function fuzz({ target, bits }) {
  const start = performance.now();
  const { ok, output } = await runTarget({ target, bits });
  const took = Math.round((performance.now() - start) / 1000);
  const runs = /number_of_executed_units: (\d+)/.exec(output)?.[1] ?? "?";
  const size = [...output.matchAll(/ corp: (\d+)\//g)].at(-1)?.[1] ?? "?";
  const artifact = /Test unit written to (\S+)/.exec(output)?.[1];
  const finding = ok ? "no findings" : `finding: ${artifact ?? "see below"}`;
  console.log(
    `${ok ? "✔" : "✖"} ${target}, ${bits} bits: ${runs} runs in ${took} s, corpus of ${size}, ${finding}`,
  );
  if (!ok) console.log(output.split("\n").slice(-60).join("\n"));
  return ok;
}

if (values.coverage) {
  const { coverage } = await import("./fuzz-coverage.mjs");
  process.exit((await coverage({ corpus, targets: allTargets })) ? 0 : 1);
}
if (values.runtime) {
  const { loadOutputs } = await import("./fuzz-runtime.mjs");
  await buildPresetOrExit("fuzz");
  const found = join(root, "build/corpus/shrink_roundtrip");
  await mkdir(found, { recursive: true });
  const program = programOf(64, "fuzz/shrink_roundtrip_fuzz");
  process.exit((await loadOutputs(program, [join(corpus, "shrink_roundtrip"), found])) ? 0 : 1);
}
console.log(`seed ${seed}`);
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
