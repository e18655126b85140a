// modelshrink pack and modelshrink unpack.
import assert from "node:assert/strict";
import { access, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { test } from "node:test";
import { pack } from "modelshrink/pack";
import { safetensorsShards } from "../support/file-sets.mjs";
import { hostilePack } from "../support/hostile-pack.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { externalModel } from "../support/onnx.mjs";
import { packed } from "../support/packing.mjs";
import { commandFolder, model } from "./cli.mjs";

const { path, files, run, runWith } = commandFolder();

const expected = () => packed({ "model.onnx": model });
const isThere = (name) =>
  access(path(name)).then(
    () => true,
    () => false,
  );

async function writeAll(folder, all) {
  await mkdir(path(folder), { recursive: true });
  for (const [name, bytes] of Object.entries(all)) await writeFile(path(folder, name), bytes);
}

test("a model is packed beside itself, and unpacked again", async () => {
  const { code, stdout, stderr } = await run("pack", "model.onnx");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^1 file packed: 33\.\d kB → \d+\.\d kB.*\nWritten to model\.onnx\.mspk\n$/);
  assert.deepEqual(await files(), ["model.onnx", "model.onnx.mspk"]);
  assert.deepEqual(new Uint8Array(await readFile(path("model.onnx.mspk"))), await expected());
  await mkdir(path("there"));
  await writeFile(path("there/model.onnx.mspk"), await expected());
  const back = await run("unpack", "there/model.onnx.mspk");
  assert.equal(back.code, 0, back.stderr);
  assert.match(back.stdout, /^1 file unpacked: .*\nWritten to there\/model\.onnx\n$/);
  assert.deepEqual(new Uint8Array(await readFile(path("there/model.onnx"))), model);
});

test("default names: beside the input, whatever it is", async () => {
  await writeAll("repo", { "config.json": "{}", "model.onnx": model });
  await writeAll("deep/er", { "a.txt": "a" });
  for (const [input, output] of [
    ["repo", "repo.mspk"],
    ["repo/", "repo.mspk"],
    ["./repo", "repo.mspk"],
    ["repo/model.onnx", "repo/model.onnx.mspk"],
    ["deep/er/../er/", "deep/er.mspk"],
    [path("deep"), "deep.mspk"],
  ]) {
    const { code, stderr } = await run("pack", input);
    assert.equal(code, 0, `${input}: ${stderr}`);
    assert.ok(await isThere(output), `${input}: ${output}`);
  }
  for (const [packedFile, output] of [
    ["repo.mspk", "repo/model.onnx"],
    ["REPO.MSPK", "REPO/model.onnx"],
    ["some.bin", "some.bin.unpacked/model.onnx"],
    ["in/.mspk", "in/.mspk.unpacked/model.onnx"],
  ]) {
    await mkdir(path("work/in"), { recursive: true });
    await writeFile(path("work", packedFile), await readFile(path("repo.mspk")));
    const { code, stderr } = await run("unpack", `work/${packedFile}`);
    assert.equal(code, 0, `${packedFile}: ${stderr}`);
    assert.ok(await isThere(`work/${output}`), `${packedFile}: ${output}`);
  }
});

test("the folder that the command is in has its packed file beside it", async () => {
  await mkdir(path("home"));
  await writeFile(path("home/a.txt"), "a");
  await mkdir(path("home/below"));
  for (const [cwd, input] of [
    ["home", "."],
    ["home", "./"],
    ["home/below", ".."],
  ]) {
    const { code, stdout, stderr } = await runWith({ cwd }, "pack", input);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /home\.mspk/);
    assert.ok(await isThere("home.mspk"), `${input}: ${(await files("home")).join()}`);
    assert.deepEqual(await files("home"), ["a.txt", "below"]);
  }
});

test("-o names a file, a folder or standard output", async () => {
  await mkdir(path("out"));
  for (const [output, file] of [
    ["small.mspk", "small.mspk"],
    ["out", "out/model.onnx.mspk"],
    ["new/", "new/model.onnx.mspk"],
    ["new/deep/small.mspk", "new/deep/small.mspk"],
  ]) {
    const { code, stdout, stderr } = await run("pack", "model.onnx", "-o", output);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.includes(`Written to ${output}`), stdout);
    assert.deepEqual(new Uint8Array(await readFile(path(file))), await expected(), output);
  }
  const piped = await run("pack", "model.onnx", "-o", "-");
  assert.deepEqual([piped.code, new Uint8Array(piped.bytes)], [0, await expected()]);
  assert.match(piped.stderr, /Written to standard output/);

  for (const [output, file] of [
    ["copy.onnx", "copy.onnx"],
    ["out", "out/model.onnx"],
    ["newer/", "newer/model.onnx"],
    // An output that is named may be there.
    ["copy.onnx", "copy.onnx"],
  ]) {
    const { code, stdout, stderr } = await run("unpack", "small.mspk", "-o", output);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.includes(`Written to ${output}`), stdout);
    assert.deepEqual(new Uint8Array(await readFile(path(file))), model, output);
  }
  const back = await run("unpack", "small.mspk", "-o", "-", "-q");
  assert.deepEqual([back.code, new Uint8Array(back.bytes), back.stderr], [0, model, ""]);
});

test("standard input is packed and unpacked", async () => {
  const through = await runWith({ input: model }, "pack", "-", "-o", "-");
  assert.equal(through.code, 0, through.stderr);
  assert.deepEqual(new Uint8Array(through.bytes), await packed(model));
  const back = await runWith({ input: through.bytes }, "unpack", "-", "-o", "-");
  assert.deepEqual([back.code, new Uint8Array(back.bytes)], [0, model]);
  await runWith({ input: through.bytes }, "unpack", "-", "-o", "again.onnx");
  assert.deepEqual(new Uint8Array(await readFile(path("again.onnx"))), model);
});

test("addresses are packed and unpacked into the folder where the command is", async () => {
  const site = await serveRoutes();
  for (const [name, bytes] of Object.entries(externalModel())) {
    site.routes[`/m/${name}`] = Buffer.from(bytes);
  }
  site.routes["/m/small.onnx.mspk?v=1"] = Buffer.from(await expected());
  try {
    const { code, stdout, stderr } = await run("pack", `${site.base}/m/model.onnx`);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^2 files packed/);
    assert.ok(await isThere("model.onnx.mspk"));
    assert.equal((await run("unpack", `${site.base}/m/small.onnx.mspk?v=1`)).code, 0);
    assert.deepEqual(new Uint8Array(await readFile(path("small.onnx"))), model);
    const missing = await run("unpack", `${site.base}/m/none.mspk`);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /404/);
  } finally {
    site.close();
  }
});

test("several files go into a folder, named by -o or as the packed file", async () => {
  const shards = safetensorsShards();
  await writeAll("llama", shards);
  assert.equal((await run("pack", "llama", "-o", "small.mspk")).code, 0);
  const { stdout } = await run("unpack", "small.mspk");
  assert.match(stdout, /^3 files unpacked: .*\nWritten to small\/\n$/);
  assert.deepEqual(await files("small"), Object.keys(shards).sort());
  const single = await run("unpack", "small.mspk", "-o", "-");
  assert.equal(single.code, 1);
  assert.match(single.stderr, /several files.*standard output takes one/);
});

test("--json prints the report and nothing else; --quiet nothing", async () => {
  const { code, stdout, stderr } = await run("pack", "model.onnx", "--json");
  assert.deepEqual([code, stderr], [0, ""]);
  const { report } = await pack({ "model.onnx": model });
  assert.deepEqual(JSON.parse(stdout), {
    schemaVersion: 1,
    output: "model.onnx.mspk",
    ...report,
  });
  const back = await run("unpack", "model.onnx.mspk", "-o", "out/", "--json");
  const { output, files: list, inputBytes } = JSON.parse(back.stdout);
  assert.deepEqual([output, list], ["out/", [{ name: "model.onnx", bytes: model.length }]]);
  assert.equal(inputBytes, report.outputBytes);
  const failed = await run("unpack", "model.onnx", "--json");
  assert.equal(failed.code, 1);
  assert.equal(JSON.parse(failed.stdout).error.code, "format");
  for (const args of [
    ["pack", "model.onnx"],
    ["unpack", "model.onnx.mspk", "-o", "x.onnx"],
  ]) {
    const quiet = await run(...args, "-q");
    assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, "", ""]);
  }
});

test("what is no model is packed, with a warning only where its name promises one", async () => {
  await writeFile(path("notes.txt"), "an apple");
  await writeFile(path("bad.onnx"), "no model");
  assert.doesNotMatch((await run("pack", "notes.txt")).stdout, /Warning/);
  const { code, stdout } = await run("pack", "bad.onnx");
  assert.equal(code, 0);
  assert.match(stdout, /Warning: .*packed as bytes/);
  await run("unpack", "bad.onnx.mspk", "-o", "back.onnx");
  assert.equal(await readFile(path("back.onnx"), "utf8"), "no model");
});

test("unpack does not write over what is there, unless -o names it", async () => {
  await run("pack", "model.onnx");
  await writeFile(path("model.onnx"), "changed since");
  const { code, stderr } = await run("unpack", "model.onnx.mspk");
  assert.equal(code, 2);
  assert.match(stderr, /"model\.onnx" exists: name the output with -o/);
  assert.equal(await readFile(path("model.onnx"), "utf8"), "changed since");
  await symlink("nowhere", path("linked.onnx"));
  await writeFile(path("linked.onnx.mspk"), await readFile(path("model.onnx.mspk")));
  assert.equal((await run("unpack", "linked.onnx.mspk")).code, 2);
  await symlink("elsewhere.mspk", path("other.onnx.mspk"));
  await writeFile(path("other.onnx"), model);
  const link = await run("pack", "other.onnx");
  assert.equal(link.code, 2);
  assert.match(link.stderr, /is a link: name another with -o/);
  assert.equal((await run("unpack", "model.onnx.mspk", "-o", "model.onnx")).code, 0);
  assert.deepEqual(new Uint8Array(await readFile(path("model.onnx"))), model);
});

test("wrong usage", async () => {
  for (const [args, pattern] of [
    [["pack"], /model/],
    [["pack", "a", "b"], /takes <source>; 2 given/],
    [["pack", "-"], /needs -o <path>, or -o -/],
    [["unpack", "-"], /needs -o <path>, or -o -/],
    [["pack", "model.onnx", "-o", ""], /-o has no path/],
    [["pack", "model.onnx", "-o", "-", "--json"], /both want standard output/],
    [["unpack", "x.mspk", "--max-growth", "0"], /--max-growth is "0"/],
    [["pack", "model.onnx", "--recipe", "int8"], /--recipe/],
  ]) {
    const { code, stderr } = await runWith({ input: model }, ...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, pattern);
  }
  for (const args of [
    ["pack", "none.onnx"],
    ["unpack", "none.mspk"],
    ["unpack", "model.onnx", "-o", "x"],
  ]) {
    const { code } = await run(...args);
    assert.equal(code, 1, args.join(" "));
  }
  assert.deepEqual(await files(), ["model.onnx"]);
});

test("a packed file of an enemy, or a damaged one, writes nothing", async () => {
  const good = Buffer.from(await expected());
  const flipped = Buffer.from(good);
  flipped[flipped.length - 100] ^= 1;
  const evil = {
    "up.mspk": hostilePack([{ name: "../up.onnx" }]),
    "absolute.mspk": hostilePack([{ name: path("absolute.onnx") }]),
    "twice.mspk": hostilePack([{ name: "a" }, { name: "a" }]),
    "meeting.mspk": hostilePack([{ name: "b" }, { name: "a" }, { name: "a/b" }]),
    "cut.mspk": good.subarray(0, good.length - 30),
    "flipped.mspk": flipped,
    "bomb.mspk": Buffer.from(await packed({ "zeros.bin": Buffer.alloc(32e6) })),
    "name.mspk": hostilePack([{ name: "a\u001b]0;title\u0007" }]),
  };
  for (const [name, bytes] of Object.entries(evil)) {
    await writeFile(path(name), bytes);
    const before = await files();
    for (const args of [[], ["-o", "out/"], ["-o", "new.onnx"]]) {
      const { code, stdout, stderr } = await run("unpack", name, ...args);
      assert.equal(code, 1, `${name}: ${stdout}${stderr}`);
      assert.equal(stdout, "");
      // eslint-disable-next-line no-control-regex -- these are looked for
      assert.doesNotMatch(stderr, /[\u0007\u001b]/, basename(name));
      assert.deepEqual(await files(), before, name);
    }
  }
  const allowed = await run("unpack", "bomb.mspk", "--max-growth", "100000", "-o", "zeros.bin");
  assert.equal(allowed.code, 0, allowed.stderr);
});

test("help says what both write by default", async () => {
  for (const command of ["pack", "unpack"]) {
    const { code, stdout } = await run("help", command);
    assert.equal(code, 0);
    const text = stdout.replace(/\s+/g, " ");
    assert.match(text, /pack writes <source>\.mspk by default, and unpack its name without that/);
    assert.match(text, /unpack gives every one of them again, or an error/);
  }
  const { stdout } = await run("help");
  assert.match(stdout, /^ {2}pack +write .*\n {2}unpack +restore /m);
});
