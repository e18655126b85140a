// Models on standard input and output, and what a terminal sees.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { test } from "node:test";
import { shrink } from "modelshrink";
import { readStandardInput } from "../../dist/cli/standard-streams.js";
import { Terminal } from "../../dist/cli/terminal.js";
import { chainModel } from "../support/onnx.mjs";
import { safetensorsShards } from "../support/file-sets.mjs";
import { commandFolder, finish, model } from "./cli.mjs";

const { path, files, start, run, runWith } = commandFolder();

const expected = async (recipe) => Buffer.from(await (await shrink(model, recipe)).bytes());

test("- reads a model from standard input", async () => {
  const { code, stdout } = await runWith({ input: model }, "inspect", "-", "--json");
  assert.equal(code, 0);
  assert.deepEqual(
    JSON.parse(stdout),
    JSON.parse((await run("inspect", "model.onnx", "--json")).stdout),
  );
  const args = ["shrink", "-", "-o", "small.onnx", "--recipe", "fp16"];
  assert.equal((await runWith({ input: model }, ...args)).code, 0);
  assert.ok((await expected("fp16")).equals(await readFile(path("small.onnx"))));
  const compared = await runWith({ input: model }, "compare", "-", "small.onnx");
  assert.match(compared.stdout, /first +64×64 +float32 → float16/);
});

test("-o - gives standard output the model's bytes and nothing else", async () => {
  for (const args of [[], ["--workers", "2"], ["-q"]]) {
    const { code, bytes, stderr } = await run("shrink", "model.onnx", "-o", "-", ...args);
    assert.equal(code, 0, stderr);
    assert.ok((await expected("int8")).equals(bytes), args.join(" "));
    assert.equal(/Written to standard output/.test(stderr), args[0] !== "-q");
  }
  const piped = await runWith({ input: model }, "shrink", "-", "-o", "-");
  assert.ok((await expected("int8")).equals(piped.bytes));
  assert.deepEqual(await files(), ["model.onnx"]);
});

test("what streams cannot be is refused", async () => {
  await mkdir(path("llama"));
  for (const [name, bytes] of Object.entries(safetensorsShards())) {
    await writeFile(path("llama", name), bytes);
  }
  for (const [code, args, pattern] of [
    [2, ["shrink", "-"], /needs -o <path>, or -o -/],
    [2, ["compare", "-", "-"], /Standard input is one model/],
    [2, ["shrink", "-", "model.onnx", "-o", "out"], /Standard input is one model/],
    [2, ["shrink", "model.onnx", "-o", "-", "--json"], /-o - and --json both want standard output/],
    [2, ["shrink", "model.onnx", "-o", "-", "--resume"], /--resume needs a file/],
    [1, ["shrink", "llama", "-o", "-"], /several files.*standard output takes one/],
    [1, ["inspect", "-"], /empty|no model|too short|0 bytes/i],
  ]) {
    const result = await runWith({ input: "" }, ...args);
    assert.equal(result.code, code, args.join(" "));
    assert.match(result.stderr, pattern);
    assert.doesNotMatch(result.stdout, /ONNX|onnx ·/);
  }
  assert.deepEqual(await files(), ["llama", "model.onnx"]);
});

test("a terminal gets no model, and is not waited for", async () => {
  const flag = "--import=data:text/javascript,process.stdout.isTTY=process.stdin.isTTY=true";
  const env = { NODE_OPTIONS: flag };
  const out = await runWith({ env }, "shrink", "model.onnx", "-o", "-");
  assert.deepEqual([out.code, out.stdout], [2, ""]);
  assert.match(out.stderr, /Standard output is a terminal/);
  const input = await runWith({ env }, "inspect", "-");
  assert.equal(input.code, 1);
  assert.match(input.stderr, /Standard input is a terminal/);
});

test("a reader that ends early: a failure for a model, none for text", async () => {
  const weights = Array.from({ length: 30 }, (_, i) => ({ name: `w${i}`, size: 256 }));
  await writeFile(path("large.onnx"), chainModel(weights));
  for (const [args, code, pattern] of [
    [["shrink", "large.onnx", "-o", "-", "--recipe", "fp16"], 1, /Cannot write "standard output"/],
    [["help", "shrink"], 0, /^$/],
  ]) {
    const child = start(args);
    child.stdout.destroy();
    const result = await finish(child);
    assert.equal(result.code, code, args.join(" "));
    assert.match(result.stderr, pattern);
  }
});

test("an interrupt while standard input is awaited ends the command", async () => {
  const child = start(["inspect", "-"]);
  const finished = finish(child);
  // More than a pipe holds: it is read by now.
  child.stdin.write(Buffer.alloc(1 << 20));
  await once(child.stdin, "drain");
  child.kill("SIGINT");
  assert.equal((await finished).code, 130);
});

test("a failure of standard input says so", async () => {
  const broken = new Readable({
    read() {
      this.destroy(Object.assign(new Error("read EIO"), { code: "EIO", syscall: "read" }));
    },
  });
  await assert.rejects(readStandardInput(broken, new AbortController().signal), {
    code: "io",
    message: /Cannot read "standard input": read EIO/,
  });
});

/** What a Terminal writes to a pair of streams. */
function shown(act, { isTTY, env = {}, ...display }) {
  const written = { stdout: "", stderr: "" };
  const stream = (name) => ({ isTTY, write: (text) => (written[name] += text) });
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  const all = { json: false, quiet: false, isDataOnOutput: false, ...display };
  act(new Terminal(all, streams, env));
  return written;
}

test("colors are for terminals, and not with NO_COLOR", () => {
  const act = (terminal) => {
    terminal.print("head\n\nWarning: look");
    terminal.complain("bad");
  };
  const colored = shown(act, { isTTY: true });
  assert.equal(colored.stdout, "\u001b[1mhead\u001b[0m\n\n\u001b[33mWarning: look\u001b[0m\n");
  assert.equal(colored.stderr, "\u001b[31mmodelshrink:\u001b[0m bad\n");
  for (const plain of [
    { isTTY: false },
    { isTTY: true, env: { NO_COLOR: "1" } },
    { isTTY: true, env: { TERM: "dumb" } },
  ]) {
    assert.deepEqual(shown(act, plain), {
      stdout: "head\n\nWarning: look\n",
      stderr: "modelshrink: bad\n",
    });
  }
});

test("names cannot drive the terminal, in tables, errors and JSON", async () => {
  const evil = "w\u001b]0;title\u0007\u009b31m\u202egpj.exe\u2066";
  await writeFile(path("evil.onnx"), chainModel([{ name: evil, size: 64 }]));
  // eslint-disable-next-line no-control-regex -- these are looked for
  const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  for (const args of [
    ["inspect", "evil.onnx"],
    ["inspect", "evil.onnx", "--json"],
    ["shrink", "evil.onnx", "--all"],
    ["compare", "evil.onnx", "model.onnx"],
    ["inspect", `${evil}.onnx`],
    ["plan", "evil.onnx", "--rule", `${evil}=int8`, "--json"],
  ]) {
    const { stdout, stderr } = await run(...args);
    assert.doesNotMatch(stdout + stderr, unsafe, args.join(" "));
  }
  const { stdout } = await run("inspect", "evil.onnx");
  assert.match(stdout, /^w\\u001b\]0;title\\u0007/m);
  const { tensors } = JSON.parse((await run("inspect", "evil.onnx", "--json")).stdout);
  assert.ok(tensors.some(({ name }) => name === evil));
});
