// Removal of channels through the recipe: sizes, bytes, and what is refused.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ArgumentError, UnsupportedError, init, inspect, plan, shrink } from "modelshrink";
import { makeGguf } from "../support/gguf.mjs";
import { chainModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

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
    report.tensors.map(({ name, outputShape }) => [name, outputShape]),
    planned.tensors.map(({ name, outputShape }) => [name, outputShape]),
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
    report.tensors.map(({ name, outputShape, note }) => [name, { outputShape, note }]),
  );
  assert.deepEqual(notes.first.outputShape, [48, 24]);
  assert.deepEqual(notes.second, {
    outputShape: [24, 48],
    note: 'keeps its output channels: they go on into "third", which is kept',
  });
  assert.deepEqual(notes.third, { outputShape: [48, 48], note: "kept by a rule" });
});

test("warnings and errors of what is cut say what is so", async () => {
  const blind = await shrink(chain(), recipe());
  assert.match(blind.report.warnings.join(), /^Channels are removed and nothing is fitted anew/);
  const [first] = blind.report.tensors;
  assert.deepEqual([first.sqnr, first.cosine, first.sparsity], [undefined, undefined, 0]);
  // Nothing goes: one of the layers that are tied to each other is kept.
  const rules = [{ match: "second", prune: recipe().prune }];
  const { report } = await shrink(chain(), { rules: [...rules, { match: "*", keep: true }] });
  assert.match(
    report.warnings.join(),
    /^No channel is removed: "second" keeps its output channels/,
  );
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
    [
      { n: 2, m: 4, sparsity: undefined },
      /n is no option of method "structured", which takes "sparsity", "norm", "multipleOf"/,
    ],
    [{ norm: 0 }, /norm is 0; it must be a number above 0/],
    [{ norm: "max" }, /norm is "max"/],
    [{ sparsity: 0 }, /sparsity is 0; of "structured" it must be above 0 and below 1/],
    [{ sparsity: 1 }, /sparsity is 1; of "structured" it must be above 0 and below 1/],
    [{ method: "magnitude", norm: 2 }, /norm is no option of method "magnitude"/],
    [{ allocation: "lamp" }, /allocation is no option of method "structured"/],
    [{ sparsity: undefined }, /of method "structured" needs sparsity/],
  ]) {
    await assert.rejects(shrink(chain(), recipe(prune)), (error) => {
      assert.ok(error instanceof ArgumentError);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("what is left of a tensor is the measure of other ways to store it", async () => {
  const plain = await shrink(chain(), recipe());
  const dense = await plain.bytes();
  const { bytes, report } = await shrink(chain(), { ...recipe(), sparse: true });
  assert.deepEqual(await bytes(), dense);
  const types = ({ tensors }) => tensors.map(({ to, outputShape }) => [to, outputShape]);
  assert.deepEqual(types(report), types(plain.report));
  assert.match(report.tensors[0].note, /would not shrink further \(4627 → /);
  const planned = await plan(chain(), { ...recipe(), sparse: true });
  assert.equal(planned.outputBytes, dense.length);
  assert.match(planned.warnings.join(), /planned as they are now/);
  assert.doesNotMatch(planned.warnings.join(), /No tensor is smaller/);
  assert.match(report.warnings.join(), /No tensor is smaller without its zeros/);

  const zeros = await shrink(chain(), { prune: { method: "magnitude", sparsity: 0.9 } });
  const both = await shrink(await zeros.bytes(), { ...recipe(), sparse: true });
  const second = both.report.tensors.find(({ name }) => name === "second");
  assert.deepEqual([second.to, second.outputShape], ["float32 sparse", [24, 24]]);
  assert.ok((await both.bytes()).length < dense.length / 2);
  // Where a scale and nodes would take more than the few floats that are left.
  const small = chainModel(["first", "second", "third"].map((name) => ({ name, size: 16 })));
  const narrow = await shrink(small, recipe({ sparsity: 0.9, multipleOf: 1 }));
  const codes = await shrink(small, {
    ...{ ...recipe({ sparsity: 0.9, multipleOf: 1 }), weights: "int8", minElements: 0 },
  });
  assert.ok((await codes.bytes()).length <= (await narrow.bytes()).length);
});

test("a plan without samples is of a shrink without samples", async () => {
  const planned = await plan(chain(), recipe());
  const { report } = await shrink(chain(), recipe());
  assert.deepEqual(planned.warnings, report.warnings);
  assert.deepEqual(
    planned.tensors.map(({ method, note }) => [method, note]),
    report.tensors.map(({ method, note }) => [method, note]),
  );
  // Small weights are cut, too: no note says that they are left.
  const small = report.tensors.find(({ name }) => name === "first.bias");
  assert.deepEqual([small.outputShape, small.note], [[24], undefined]);
});
