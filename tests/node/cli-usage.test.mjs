import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { presets } from "modelshrink";
import { commands } from "../../dist/cli/commands.js";
import { commandFolder } from "./cli.mjs";

const { path, files, run } = commandFolder();

test("--help shows commands, presets and examples; --version the version", async () => {
  const { code, stdout, stderr } = await run("--help");
  assert.deepEqual([code, stderr], [0, ""]);
  for (const word of ["inspect", "plan", "shrink", "compare", ...Object.keys(presets)]) {
    assert.ok(stdout.includes(word), word);
  }
  assert.match(stdout, /Examples:\n {2}modelshrink inspect/);
  assert.ok(stdout.split("\n").every((line) => line.length <= 100));
  const own = await run("shrink", "--help");
  assert.match(own.stdout, /--output/);
  assert.doesNotMatch((await run("inspect", "-h")).stdout, /--recipe/);
  const manifest = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  assert.equal((await run("--version")).stdout.trim(), JSON.parse(manifest).version);
});

test("wrong usage exits with 2 and says what would be right", async () => {
  await writeFile(path("bad.json"), "{");
  for (const [args, pattern] of [
    [[], /Usage:/],
    [["shrnk", "model.onnx"], /no command "shrnk".*"shrink"/],
    [["-q", "inspect", "model.onnx"], /command comes first/],
    [["shrink"], /takes <model>\.\.\.; 0 given/],
    [["plan", "model.onnx", "fp16"], /"fp16" is no model: a recipe is given as --recipe fp16/],
    [["compare", "model.onnx"], /takes <original> <other>; 1 given/],
    [["shrink", "model.onnx", "--recipie", "int8"], /no option --recipie.*"--recipe"/],
    [["inspect", "model.onnx", "--recipe", "int8"], /no option --recipe/],
    [["shrink", "model.onnx", "--recipe", "int88"], /no preset "int88".*"int8"/],
    [["shrink", "model.onnx", "--recipe", "INT8"], /no preset "INT8".*Did you mean "int8"/],
    [["shrink", "model.onnx", "--recipe", "float16"], /Did you mean "fp16"/],
    [["shrink", "model.onnx", "--recipe", "bad.json"], /"bad\.json" is no JSON/],
    [["shrink", "model.onnx", "--recipe", "none.json"], /"none\.json": no such file/],
    [["shrink", "model.onnx", "--non-finite", "drop"], /nonFinite is "drop"/],
    [["shrink", "model.onnx", "--block-size", "big"], /--block-size is "big"; it must be a whole/],
    [["shrink", "model.onnx", "--block-size", "0"], /blockSize is 0/],
    [["shrink", "model.onnx", "--rule", "*=fp16"], /Did you mean "float16"/],
    [["shrink", "model.onnx", "--mode", "fast"], /mode is "fast"/],
    [["shrink", "model.onnx", "--mode", "dynamik"], /Did you mean "dynamic"/],
    [["shrink", "model.onnx", "--rule", "abc"], /<glob>=<type>/],
    [["shrink", "model.onnx", "--rule", "*=int7"], /"int7"/],
    [["shrink", "model.onnx", "-o"], /output/],
    [["shrink", "model.onnx", "--workers", "many"], /--workers is "many"/],
    [["inspect", "model.onnx", "--resume"], /no option --resume/],
    [["shrink", "model.onnx", "--prune", "half"], /--prune is "half"; it must be/],
    [["shrink", "model.onnx", "--prune", "channels:0.5"], /"channels".*"structured"/],
    [["shrink", "model.onnx", "--target-size", "big"], /--target-size is "big".*1\.5MB/],
    [["shrink", "model.onnx", "--target-size", "3mb"], /--target-size is "3mb"/],
    [["shrink", "model.onnx", "--target-bits", "-1"], /target-bits/],
    [["shrink", "model.onnx", "--target-sqnr", "20dB"], /--target-sqnr is "20dB"/],
    [["plan", "model.onnx", "--target-bits", "0"], /target\.bitsPerWeight is 0/],
    [
      ["plan", "model.onnx", "--target-bits", "4", "--target-sqnr", "20"],
      /--target-bits and --target-sqnr are two targets/,
    ],
    [["shrink", "model.onnx", "--recipe", "int4", "--target-bits", "4"], /for weights "int8"/],
    [["shrink", "r", "--layout", "transformers", "--target-bits", "4"], /leave out --target-bits/],
    [["shrink", "model.onnx", "--refit"], /--refit is an option of --prune/],
    [["shrink", "model.onnx", "--recipe", "int8", "--sparse"], /weights that keep their type/],
    [["shrink", "model.onnx", "--min-cosine", "0.9"], /--min-cosine needs --inputs/],
    [["shrink", "model.onnx", "--min-cosine", "most", "--inputs", "s"], /--min-cosine is "most"/],
    [["shrink", "model.onnx", "--resize", "8x8"], /--resize needs --inputs/],
    [["shrink", "model.onnx", "-o", ""], /-o has no path/],
    [["verify", "model.onnx", "model.onnx"], /"verify" needs --inputs/],
    [
      ["inspect", "model.onnx", "--prune", "2:4"],
      /no option --prune. It is an option of plan, shrink/,
    ],
    [["shrink", "model.onnx", "--mean"], /--mean/],
    [["verify", "model.onnx", "x", "--mean", "-1"], /one that begins with - is --mean=-/],
    [["help", "shrnk"], /no command "shrnk".*"shrink"\?\nSee modelshrink --help\./],
    [["completion", "tcsh"], /no completion for "tcsh"; there is for bash, zsh, fish/],
  ]) {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, pattern);
  }
  assert.deepEqual(await files(), ["bad.json", "model.onnx"]);
});

test("help of each command shows its options and no others", async () => {
  for (const { name, options } of commands) {
    const { code, stdout, stderr } = await run("help", name);
    assert.deepEqual([code, stderr], [0, ""], name);
    assert.match(stdout, new RegExp(`^Usage: modelshrink ${name}\\b`));
    const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, it]) => it);
    assert.deepEqual(shown.sort(), [...options].sort(), name);
    assert.ok(stdout.split("\n").every((line) => line.length <= 100));
  }
  assert.equal((await run("help")).stdout, (await run("--help")).stdout);
  assert.equal((await run("help", "plan")).stdout, (await run("plan", "--help")).stdout);
});

test("with --json wrong usage is JSON, too", async () => {
  const { code, stdout, stderr } = await run("plan", "model.onnx", "--mode", "fast", "--json");
  assert.equal(code, 2);
  assert.match(stderr, /^modelshrink: mode is "fast".*\nSee modelshrink help plan\.\n$/);
  const { schemaVersion, error } = JSON.parse(stdout);
  assert.deepEqual([schemaVersion, error.code], [1, "usage"]);
  assert.match(error.message, /mode is "fast"/);
  // Behind "--" there are operands.
  assert.equal((await run("compare", "--", "--json")).stdout, "");
});
