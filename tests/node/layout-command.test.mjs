// The command with --layout: what it says, and what it leaves when it is interrupted.
import assert from "node:assert/strict";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { layoutFolder, small } from "../support/layouts.mjs";
import { seq2seqModel } from "../support/seq2seq-model.mjs";
import { commandFolder, finish } from "./cli.mjs";

const { save } = layoutFolder();

const command = commandFolder();

test("the command writes a layout, and says what it wrote", async () => {
  await save(small, command.path("tiny"));
  const { code, stdout, stderr } = await command.run(
    ...[
      "shrink",
      "tiny",
      "--layout",
      "transformers",
      "-o",
      "models/tiny",
      "--dtypes",
      "q8,q4",
      "--keep",
      "w1",
    ],
  );
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^1 model, 140 kB, written as 2 models, [\d.]+ kB:\n[^]*onnx\/model_quantized\.onnx[^]*onnx\/model_q4\.onnx[^]*Copied: [^]*config\.json[^]*Written to models\/tiny/,
  );
  assert.deepEqual(await command.files("models/tiny/onnx"), [
    "model_q4.onnx",
    "model_quantized.onnx",
  ]);
  const again = await command.run(
    "shrink",
    "tiny",
    "--layout",
    "transformers",
    "-o",
    "models/tiny",
  );
  assert.equal(again.code, 1);
  assert.match(again.stderr, /not empty/);
  const planned = await command.run("plan", "tiny", "--layout", "transformers");
  assert.match(
    planned.stdout,
    /^1 model, 140 kB, would be 5 models, [\d.]+ kB:\n[^]*onnx\/model_q4\.onnx/,
  );
  const dry = await command.run("shrink", "tiny", "--layout", "transformers", "--dry-run");
  assert.match(dry.stdout, /Nothing is written; it would be written to .*tiny\.transformers\n$/);
  assert.ok(!(await command.files()).includes("tiny.transformers"));
  const beside = await command.run("shrink", "tiny", "--layout", "transformers", "--json");
  assert.equal(beside.code, 0, beside.stderr);
  const { output, models } = JSON.parse(beside.stdout);
  assert.equal(output, command.path("tiny.transformers"));
  assert.equal(models.length, 5);
  for (const [args, message] of [
    [["tiny", "--dtypes", "q4"], /needs --layout/],
    [["tiny", "--layout", "nchw"], /must be transformers/],
    [["tiny", "--layout", "transformers", "--dtypes", "q3"], /--dtypes has "q3"/],
    [["tiny", "--layout", "transformers", "--recipe", "int8"], /leave out --recipe/],
    [["tiny", "--layout", "transformers", "--mode", "dynamic"], /leave out --mode/],
    [
      ["tiny", "--layout", "transformers", "--min-cosine", "0.9"],
      /no use for --min-cosine: models of a repository have inputs of their own\. In code, shrink takes a guard for each/,
    ],
    [["tiny", "tiny", "--layout", "transformers"], /one repository/],
    [["-", "--layout", "transformers"], /- is neither/],
  ]) {
    const wrong = await command.run("shrink", ...args);
    assert.equal(wrong.code, 2, `${args}`);
    assert.match(wrong.stderr, message);
  }
});

test("an interrupted command leaves nothing", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`onnx/m${i}.onnx`, small["onnx/model.onnx"]]),
  );
  await save({ ...small, ...files }, command.path("tiny"));
  const child = command.start(["shrink", "tiny", "--layout", "transformers", "-o", "out"]);
  const ended = finish(child);
  while (!(await command.files()).includes(".out.part")) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; nothing was written \(.*--resume.*\)\.\n$/);
  assert.deepEqual(await command.files(), ["model.onnx", "tiny"]);
});

test("an interrupted command with --resume leaves what the same command goes on with", async () => {
  await save(seq2seqModel(), command.path("tiny"));
  const words = ["shrink", "tiny", "--layout", "transformers", "-o", "out", "--resume"];
  const child = command.start(words);
  const ended = finish(child);
  const finished = async () =>
    (await command.files(".out.part/onnx").catch(() => [])).filter((it) => /^[^.].*onnx$/.test(it));
  while ((await finished()).length === 0) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; the same command goes on from here\.\n$/);
  assert.deepEqual(await command.files(), [".out.part", "model.onnx", "tiny"]);
  const [name] = await finished();
  const { ino } = await stat(command.path(`.out.part/onnx/${name}`));
  const next = await command.run(...words);
  assert.equal(next.code, 0, next.stderr);
  assert.equal((await stat(command.path(`out/onnx/${name}`))).ino, ino);
  assert.deepEqual(await command.files(), ["model.onnx", "out", "tiny"]);
});

test("what a killed command has left goes when the next one writes the same folder; another's folder stays", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`onnx/m${i}.onnx`, small["onnx/model.onnx"]]),
  );
  await save({ ...small, ...files }, command.path("tiny"));
  const words = ["shrink", "tiny", "--layout", "transformers", "--dtypes", "q8", "-o", "out"];
  const child = command.start(words);
  const ended = finish(child);
  while (!(await command.files()).includes(".out.part")) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const meanwhile = await command.run(...words);
  assert.equal(meanwhile.code, 1);
  assert.match(meanwhile.stderr, /process \d+ is writing it/);
  child.kill("SIGKILL");
  await ended;
  assert.ok((await command.files()).includes(".out.part"));
  const next = await command.run(...words);
  assert.equal(next.code, 0, next.stderr);
  assert.deepEqual(await command.files(), ["model.onnx", "out", "tiny"]);
  assert.ok(!(await command.files("out")).some((name) => name.startsWith(".")));

  await mkdir(command.path(".other.part"));
  await writeFile(command.path(".other.part/mine.txt"), "mine");
  const inTheWay = await command.run(...words.with(-1, "other"));
  assert.equal(inTheWay.code, 1);
  assert.match(inTheWay.stderr, /\.other\.part" is in the way of this run's own folder/);
  assert.equal(await readFile(command.path(".other.part/mine.txt"), "utf8"), "mine");
});
