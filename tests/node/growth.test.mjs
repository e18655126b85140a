// Files of few bytes that describe large models.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { plan, restore, shrink, UnsupportedError } from "modelshrink";
import { calibrate } from "modelshrink/runtime";
import * as ort from "onnxruntime-node";
import { makeGguf, weights } from "../support/gguf.mjs";
import { bytes, number, string, valueInfo, wave } from "../support/onnx.mjs";
import { commandFolder } from "./cli.mjs";

const size = 128;
const count = 600;
const { path, run } = commandFolder();

/** A chain of `count` MatMuls, whose weights all have the same place in the file that `locationOf` gives. */
function sharingModel(locationOf = () => "m.data") {
  const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, value)]));
  const parts = [];
  for (let i = 0; i < count; i++) {
    const [from, to] = [i === 0 ? "X" : `v${i}`, i === count - 1 ? "Y" : `v${i + 1}`];
    const node = [string(1, from), string(1, `w${i}`), string(2, to), string(4, "MatMul")];
    const tensor = [number(1, size), number(1, size), number(2, 1), string(8, `w${i}`)];
    const place = [entry("location", locationOf(i)), number(14, 1)];
    parts.push(bytes(1, Buffer.concat(node)), bytes(5, Buffer.concat([...tensor, ...place])));
  }
  const [input, output] = [11, 12].map((field, i) =>
    bytes(field, valueInfo(i === 0 ? "X" : "Y", [1, size])),
  );
  const graph = Buffer.concat([...parts, string(2, "sharing"), input, output]);
  return Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
}

const data = Buffer.from(wave(size * size).buffer);
const sharing = { "m.onnx": sharingModel(), "m.data": data };
const refused = (error) => {
  assert.ok(error instanceof UnsupportedError, String(error));
  assert.match(
    error.message,
    /would have 10\.\d MB, \d\d times the input's \d+ kB, where 10 times/,
  );
  assert.match(error.message, /\(maxGrowth, --max-growth\)/);
  return true;
};

let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-growth-"));
});
after(() => rm(folder, { recursive: true }));

describe("a limit on output ÷ input with an option to lift it", () => {
  test("plan and shrink refuse tensors that share one external range", async () => {
    await assert.rejects(plan(sharing, "int8"), refused);
    const sink = join(folder, "refused.onnx");
    for (const resume of [false, true]) {
      await assert.rejects(shrink(sharing, "int8", { sink, resume }), refused);
    }
    assert.deepEqual(await readdir(folder), []);
  });

  test("a recipe that looks at all weights first is refused before it does", async () => {
    const phases = new Set();
    const onProgress = ({ phase }) => phases.add(phase);
    const recipe = { weights: "int8", prune: { method: "magnitude", sparsity: 0.5 } };
    recipe.prune.allocation = "global";
    await assert.rejects(shrink(sharing, recipe, { onProgress }), refused);
    assert.deepEqual([...phases], ["read"]);
  });

  test("maxGrowth lifts it", async () => {
    const { outputBytes } = await plan(sharing, "int8", { maxGrowth: 200 });
    const { report } = await shrink(sharing, "int8", { maxGrowth: Infinity });
    assert.equal(report.outputBytes, outputBytes);
  });

  test("calibrate copies bytes once, however many tensors share them", async () => {
    const inputs = [{ X: { data: new Float32Array(size), dims: [1, size] } }];
    const found = await calibrate(sharing, { ort, inputs });
    assert.equal(Object.keys(found).length, count);
  });

  test("links to one file count once", async () => {
    const home = join(folder, "links");
    await mkdir(home);
    const nameOf = (i) => (i === 0 ? "m.data" : `m${i}.data`);
    await writeFile(join(home, "m.onnx"), sharingModel(nameOf));
    await writeFile(join(home, "m.data"), data);
    for (let i = 1; i < count; i++) await symlink("m.data", join(home, nameOf(i)));
    await assert.rejects(plan(join(home, "m.onnx"), "int8"), refused);
  });

  test("the command names its option, and takes it", async () => {
    for (const [name, bytes] of Object.entries(sharing)) await writeFile(path(name), bytes);
    for (const command of ["plan", "shrink"]) {
      const { code, stderr } = await run(command, "m.onnx");
      assert.match(stderr, /allow more \(maxGrowth, --max-growth\)/);
      assert.equal(code, 1);
      const lifted = await run(command, "m.onnx", "--max-growth", "100.5");
      assert.equal(lifted.code, 0, lifted.stderr);
    }
    for (const wrong of ["0", "0.5", "-1", "x", ""]) {
      const { code, stderr } = await run("plan", "m.onnx", `--max-growth=${wrong}`);
      assert.match(stderr, /--max-growth is ".*"; it must be a number from 1/);
      assert.equal(code, 2);
    }
  });

  test("what is no factor is refused", async () => {
    for (const maxGrowth of [0, 0.9, -1, NaN, "8", null]) {
      await assert.rejects(plan(sharing, "int8", { maxGrowth }), {
        code: "argument",
        message: /maxGrowth is .*; it must be a number from 1/,
      });
    }
  });

  test("floats made of 4 bits are within it", async () => {
    const [dims, data] = [[1024, 1024], weights(1 << 20, "F32", 1)];
    const model = makeGguf({ keys: [], tensors: [{ name: "a.weight", dims, type: "F32", data }] });
    const { bytes } = await shrink(model, "Q4_0");
    const { report } = await restore(await bytes());
    assert.ok(report.outputBytes > 7 * report.inputBytes);
    const message = /would have 4\.19 MB, 8 times the input's 590 kB, where 2 times/;
    await assert.rejects(restore(await bytes(), { maxGrowth: 2 }), { message });
  });

  test("an output of up to 1 MiB may be any number of times as large", async () => {
    const [dims, data] = [[512, 512], weights(1 << 18, "F32", 1)];
    const tensors = [{ name: "a.weight", dims, type: "F32", data }];
    const few = makeGguf({
      keys: [],
      tensors: tensors.map((it) => ({
        ...it,
        dims: [512, 510],
        data: data.subarray(0, 4 * 512 * 510),
      })),
    });
    for (const [model, isRefused] of [
      [few, false],
      [makeGguf({ keys: [], tensors }), true],
    ]) {
      const { bytes } = await shrink(model, "Q4_0");
      const restoring = restore(await bytes(), { maxGrowth: 1 });
      if (isRefused) await assert.rejects(restoring, UnsupportedError);
      else assert.ok((await restoring).report.outputBytes > 1_000_000);
    }
  });
});
