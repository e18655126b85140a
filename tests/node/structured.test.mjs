// Removal of channels through the recipe: sizes, bytes, and what is refused.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ArgumentError, UnsupportedError, init, inspect, plan, shrink } from "modelshrink";
import { makeGguf } from "./gguf.mjs";
import { chainModel } from "./onnx.mjs";
import { makeSafetensors } from "./safetensors.mjs";

before(() => init());

const recipe = (prune) => ({ prune: { method: "structured", sparsity: 0.5, ...prune } });
const chain = () => chainModel(["first", "second", "third"].map((name) => ({ name, size: 48 })));

test("what is planned is written, and read again with the new shapes", async () => {
  const model = chain();
  const planned = await plan(model, recipe());
  const { bytes, report } = await shrink(model, recipe());
  const cut = await bytes();
  assert.equal(cut.length, planned.outputBytes);
  assert.deepEqual(
    report.tensors.map(({ name, to }) => [name, to]),
    planned.tensors.map(({ name, to }) => [name, to]),
  );
  const { tensors } = await inspect(cut);
  assert.deepEqual(Object.fromEntries(tensors.map(({ name, shape }) => [name, shape])), {
    first: [48, 24],
    "first.bias": [24],
    second: [24, 24],
    "second.bias": [24],
    third: [24, 48],
    "third.bias": [48],
  });
});

test("workers, and files elsewhere, give the same bytes", async () => {
  const model = chain();
  const alone = await (await shrink(model, recipe())).bytes();
  assert.deepEqual(await (await shrink(model, recipe(), { workers: 3 })).bytes(), alone);
  const stripped = await shrink(model, { ...recipe(), strip: true });
  assert.ok((await stripped.bytes()).length < alone.length);
});

test("rules keep layers and what they are tied to", async () => {
  const rules = [{ match: "third", keep: true }];
  const { report } = await shrink(chain(), { ...recipe(), rules });
  const notes = Object.fromEntries(
    report.tensors.map(({ name, to, note }) => [name, { to, note }]),
  );
  assert.equal(notes.first.to, "float32 [48, 24]");
  assert.deepEqual(notes.second, {
    to: "float32 [24, 48]",
    note: 'keeps its output channels: they go on into "third", which is kept',
  });
  assert.deepEqual(notes.third, { to: "float32", note: "kept by a rule" });
});

test("what cannot be cut is refused", async () => {
  const data = new Uint8Array(4 * 4096);
  const floats = makeSafetensors([{ name: "w", dtype: "F32", shape: [64, 64], data }]);
  const gguf = makeGguf({
    keys: [],
    tensors: [{ name: "blk.0.attn_q.weight", dims: [64, 64], type: 0, data }],
  });
  for (const file of [floats, gguf]) {
    await assert.rejects(shrink(file, recipe()), (error) => {
      assert.ok(error instanceof UnsupportedError);
      assert.match(error.message, /only the graph of an ONNX model tells/);
      return true;
    });
  }
  await assert.rejects(shrink(chainModel([{ name: "only", size: 48 }]), recipe()), {
    message: /no channel can be removed .*they meet others that stay|they are an output/,
  });
  for (const [prune, message] of [
    [{ n: 2, m: 4, sparsity: undefined }, /n and m are for/],
    [{ norm: 0 }, /norm is 0; it must be a number above 0/],
    [{ norm: "max" }, /norm is "max"/],
    [{ method: "magnitude", norm: 2 }, /norm is an option of method "structured"/],
    [{ allocation: "lamp" }, /allocation is an option of method "magnitude"/],
    [{ sparsity: undefined }, /needs either sparsity/],
  ]) {
    await assert.rejects(shrink(chain(), recipe(prune)), (error) => {
      assert.ok(error instanceof ArgumentError);
      assert.match(error.message, message);
      return true;
    });
  }
});
