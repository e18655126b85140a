// Several models at once, and commands that show or write less than usual.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { shrink } from "modelshrink";
import { chainModel, wave } from "../support/onnx.mjs";
import { commandFolder, finish, model } from "./cli.mjs";

const { path, files, start, run } = commandFolder();

const other = chainModel([{ name: "only", size: 32 }]);
const bytesOf = async (source, recipe) => Buffer.from(await (await shrink(source, recipe)).bytes());

test("several models go into a folder; a line each and a total", async () => {
  await writeFile(path("other.onnx"), other);
  const { code, stdout, stderr } = await run("shrink", "model.onnx", "other.onnx", "-o", "new/out");
  assert.deepEqual([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 3);
  assert.match(
    lines[0],
    /^model\.onnx: 33\.6 kB → \S+ kB \(\S+ %\), written to new\/out\/model\.onnx$/,
  );
  assert.match(lines[1], /^other\.onnx: .*, written to new\/out\/other\.onnx$/);
  assert.match(lines[2], /^2 models: 37\.9 kB → /);
  assert.deepEqual(await files("new/out"), ["model.onnx", "other.onnx"]);
  assert.ok((await bytesOf(other, "int8")).equals(await readFile(path("new/out/other.onnx"))));
});

test("without -o each of several models gets its output beside it", async () => {
  await mkdir(path("sub"));
  await writeFile(path("sub/model.onnx"), other);
  const { code } = await run("shrink", "model.onnx", "sub/model.onnx", "--recipe", "fp16");
  assert.equal(code, 0);
  assert.deepEqual(await files(), ["model.fp16.onnx", "model.onnx", "sub"]);
  assert.deepEqual(await files("sub"), ["model.fp16.onnx", "model.onnx"]);
});

test("a folder among several models gets a folder of its own", async () => {
  await mkdir(path("tiny"));
  await writeFile(path("tiny/model.onnx"), other);
  const { code, stderr } = await run("shrink", "model.onnx", "tiny", "-o", "out/");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(await files("out"), ["model.onnx", "tiny"]);
  assert.deepEqual(await files("out/tiny"), ["model.onnx"]);
});

test("one that fails does not stop the others: exit code 1", async () => {
  await writeFile(path("a-page.onnx"), "<!doctype html><html></html>");
  const args = ["shrink", "a-page.onnx", "none.onnx", "model.onnx", "-o", "out"];
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^modelshrink: a-page\.onnx: .*\nmodelshrink: none\.onnx: .*no such file.*\n$/,
  );
  assert.match(stdout, /^1 model: .*; 2 failed: a-page\.onnx, none\.onnx$/m);
  assert.deepEqual(await files("out"), ["model.onnx"]);
  const json = JSON.parse((await run(...args, "--json")).stdout);
  assert.deepEqual([json.schemaVersion, json.failed], [1, 2]);
  assert.deepEqual(
    json.models.map((it) => [it.model, it.error?.code, it.output]),
    [
      ["a-page.onnx", "format", undefined],
      ["none.onnx", "io", undefined],
      ["model.onnx", undefined, "out/"],
    ],
  );
  assert.equal(json.models[2].format, "onnx");
});

test("an output that is named like a second model is refused before anything is written", async () => {
  for (const command of ["shrink", "restore"]) {
    const { code, stderr } = await run(command, "model.onnx", "small.onnx");
    assert.equal(code, 2);
    assert.match(
      stderr,
      /There is no model "small\.onnx"; as the output it is named by -o small\.onnx\./,
    );
  }
  assert.deepEqual(await files(), ["model.onnx"]);
});

test("outputs that clash are refused before anything is written", async () => {
  await mkdir(path("sub"));
  await writeFile(path("sub/model.onnx"), other);
  await writeFile(path("model.gguf"), "no model");
  for (const [args, pattern] of [
    [
      ["-o", "out"],
      /"model\.onnx" and "sub\/model\.onnx" would both be written to "out\/model\.onnx"/,
    ],
    [["-o", "."], /The output of "sub\/model\.onnx" would be written over "model\.onnx"/],
    [["-o", "small.onnx"], /-o is a folder; "small\.onnx" is a file/],
    [["-o", "model.gguf"], /-o is a folder; "model\.gguf" is a file/],
    [["-o", "-"], /Standard output takes one model/],
  ]) {
    const models =
      args[1] === "." ? ["sub/model.onnx", "model.onnx"] : ["model.onnx", "sub/model.onnx"];
    const { code, stdout, stderr } = await run("shrink", ...models, ...args);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, pattern);
  }
  const twice = await run("shrink", "model.onnx", "./model.onnx");
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /would both be written/);
  assert.deepEqual(await files(), ["model.gguf", "model.onnx", "sub"]);
  assert.deepEqual(await files("sub"), ["model.onnx"]);
  assert.ok(Buffer.from(model).equals(await readFile(path("model.onnx"))));
});

test("inspect and plan take several models, too", async () => {
  await writeFile(path("other.onnx"), other);
  const inspected = await run("inspect", "model.onnx", "other.onnx");
  assert.match(
    inspected.stdout,
    /^model\.onnx: onnx, 33\.6 kB, 2 weights\nother\.onnx: .* 1 weight\n/,
  );
  const planned = await run("plan", "model.onnx", "other.onnx", "--recipe", "fp16");
  assert.match(planned.stdout, /^model\.onnx: 33\.6 kB → 17\.3 kB \(51\.5 %\)$/m);
  assert.match(planned.stdout, /^2 models: /m);
});

test("--dry-run shows what would be written where, and writes nothing", async () => {
  const args = ["shrink", "model.onnx", "--recipe", "fp16", "--dry-run"];
  const { code, stdout } = await run(...args);
  assert.equal(code, 0);
  assert.match(stdout, /first +64×64 +float32 → float16/);
  assert.match(stdout, /^Nothing is written; it would be written to model\.fp16\.onnx$/m);
  const planned = JSON.parse(
    (await run("plan", "model.onnx", "--recipe", "fp16", "--json")).stdout,
  );
  const dry = JSON.parse((await run(...args, "--json")).stdout);
  assert.deepEqual(dry, { ...planned, output: "model.fp16.onnx" });
  await writeFile(path("other.onnx"), other);
  const several = await run("shrink", "model.onnx", "other.onnx", "-o", "out", "--dry-run");
  assert.match(several.stdout, /^other\.onnx: .*, would be written to out\/$/m);
  assert.deepEqual(await files(), ["model.onnx", "other.onnx"]);
});

test("--quiet prints errors only", async () => {
  const good = await run("shrink", "model.onnx", "-q");
  assert.deepEqual([good.code, good.stdout, good.stderr], [0, "", ""]);
  assert.deepEqual(await files(), ["model.int8.onnx", "model.onnx"]);
  const bad = await run("shrink", "none.onnx", "--quiet");
  assert.deepEqual([bad.code, bad.stdout], [1, ""]);
  assert.match(bad.stderr, /no such file/);
  const json = await run("shrink", "model.onnx", "-q", "--json");
  assert.equal(JSON.parse(json.stdout).format, "onnx");
});

test("the table shows the 20 largest; --all shows every tensor", async () => {
  const weights = Array.from({ length: 23 }, (_, i) => ({ name: `w${i}`, size: 40 }));
  await writeFile(path("long.onnx"), chainModel(weights));
  const rows = ({ stdout }) =>
    stdout.split("\n").filter((line) => /^w\d+ +40×40/.test(line)).length;
  const lines = (await run("shrink", "long.onnx")).stdout.split("\n");
  assert.match(lines[0], /^onnx: .* 23 of 46 tensors changed$/);
  assert.ok(
    lines.some((line) => /^… 3 smaller tensors, 19\.\d kB before \(--all shows/.test(line)),
  );
  for (const args of [
    ["inspect", "long.onnx"],
    ["plan", "long.onnx"],
    ["shrink", "long.onnx"],
    ["compare", "long.onnx", "long.int8.onnx"],
  ]) {
    assert.equal(rows(await run(...args)), 20, args[0]);
    assert.equal(rows(await run(...args, "--all")), 23, args[0]);
  }
});

test("an interrupt among several models keeps those that are done", async () => {
  // Small tensors are written many at a time: these are not.
  const weights = Array.from({ length: 40 }, (_, i) => ({ name: `w${i}`, size: 256 }));
  await writeFile(path("second.onnx"), chainModel(weights));
  const child = start(["shrink", "model.onnx", "second.onnx", "-o", "out", "--json"], {
    fault: "slow",
  });
  const finished = finish(child);
  const isSecond = (name) => name.startsWith(".second");
  const there = () => files("out").catch(() => []);
  while (child.exitCode === null && !(await there()).some(isSecond)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  const { code, stdout, stderr } = await finished;
  assert.equal(code, 130);
  assert.match(stderr, /^modelshrink: interrupted; models that are done stay/);
  assert.equal(JSON.parse(stdout).error.code, "interrupted");
  assert.deepEqual(await files("out"), ["model.onnx"]);
});

test("a warning of one model among several stands below its line", async () => {
  await writeFile(path("nan.onnx"), chainModel([{ name: "n", size: 64, values: wave(64 * 64) }]));
  const args = ["model.onnx", "nan.onnx", "--keep", "absent", "-o", "out"];
  const { code, stdout } = await run("shrink", ...args);
  assert.equal(code, 0);
  assert.match(stdout, /^nan\.onnx: .*\n {2}Warning: The rule "absent" matches no weight/m);
});
