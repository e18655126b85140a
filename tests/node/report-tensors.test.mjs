// The tensors of results are made of columns when somebody looks at them. They are arrays of objects all the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect as show } from "node:util";
import { deserialize, serialize } from "node:v8";
import { compare, inspect, plan, shrink } from "../../dist/index.js";
import { formatModelInfo, formatReport } from "../../dist/text.js";
import { manyTensors } from "../support/many-tensors.mjs";

const count = 600;
const { files, main } = manyTensors("safetensors", count);
const model = files[main];
const recipe = { weights: "float16", minElements: 0 };

/** Every kind of result with tensors, fresh. */
const kinds = {
  inspect: () => inspect(model),
  plan: () => plan(model, recipe),
  shrink: async () => (await shrink(model, recipe)).report,
  compare: () => compare(model, model),
};

const names = Array.from({ length: count }, (_, i) => `model.layers.${i}.weight`);

for (const [kind, result] of Object.entries(kinds)) {
  test(`${kind}: tensors are an array with all habits of arrays`, async () => {
    const { tensors, format } = await result();
    assert.equal(format, "safetensors");
    assert.ok(Array.isArray(tensors));
    assert.equal(Object.getPrototypeOf(tensors), Array.prototype);
    assert.equal(tensors.length, count);
    assert.deepEqual(
      tensors.map(({ name }) => name),
      names,
    );
    assert.deepEqual([...tensors], tensors);
    assert.equal(tensors.filter(({ name }) => name.endsWith("7.weight")).length, count / 10);
    assert.equal(
      tensors.find(({ name }) => name === names[300]),
      tensors[300],
    );
    assert.equal(
      tensors.findLast(() => true),
      tensors.at(-1),
    );
    assert.deepEqual(Object.keys(tensors).length, count);
    assert.equal(tensors.slice(10, 20).length, 10);
    assert.equal(
      tensors.reduce((all) => all + 1, 0),
      count,
    );
    const [first, second, ...others] = tensors;
    assert.deepEqual([first.name, second.name, others.length], [names[0], names[1], count - 2]);
    for (const [i, tensor] of tensors.entries()) assert.equal(tensor.name, names[i]);
    assert.equal(JSON.parse(JSON.stringify(tensors)).length, count);
  });

  test(`${kind}: rows are plain objects of their own, and the array stays the same one`, async () => {
    const given = await result();
    const { tensors } = given;
    assert.equal(given.tensors, tensors);
    assert.equal(given.tensors[5], tensors[5]);
    assert.equal(Object.getPrototypeOf(tensors[5]), Object.prototype);
    const before = structuredClone(tensors[6]);
    tensors[5].shape.push(1);
    tensors[5].name = "changed";
    tensors[5].mine = true;
    assert.deepEqual(given.tensors[6], before);
    assert.deepEqual([given.tensors[5].name, given.tensors[5].mine], ["changed", true]);
  });

  test(`${kind}: the array may be written to, and replaced`, async () => {
    const given = await result();
    given.tensors[0] = { ...given.tensors[0], name: "written" };
    assert.equal(given.tensors[0].name, "written");
    given.tensors.sort((a, b) => (a.name < b.name ? 1 : -1));
    assert.equal(given.tensors[0].name, "written");
    given.tensors.push(given.tensors[0]);
    assert.equal(given.tensors.length, count + 1);
    given.tensors = given.tensors.slice(0, 2);
    assert.equal(given.tensors.length, 2);
    const unseen = await result();
    unseen.tensors = [];
    assert.deepEqual(unseen.tensors, []);
  });

  test(`${kind}: copies of any kind have the tensors`, async () => {
    const expected = [...(await result()).tensors];
    const copies = {
      JSON: (it) => JSON.parse(JSON.stringify(it, (_, x) => (x === Infinity ? "inf" : x))),
      structuredClone,
      "v8.serialize": (it) => deserialize(serialize(it)),
      spread: (it) => ({ ...it }),
      "Object.assign": (it) => Object.assign({}, it),
      "Object.entries": (it) => Object.fromEntries(Object.entries(it)),
      destructuring: ({ tensors, ...head }) => ({ tensors, ...head }),
      rest: ({ format, ...rest }) => ({ format, ...rest }),
      "joined prototype": (it) => Object.create(it),
      "a proxy": (it) => new Proxy(it, {}),
      "a frozen one": (it) => Object.freeze(it),
      "a sealed one": (it) => Object.seal(it),
    };
    for (const [name, copy] of Object.entries(copies)) {
      const { tensors } = copy(await result());
      assert.equal(tensors.length, count, name);
      const isText = name === "JSON";
      const wanted = expected[42];
      assert.deepEqual(tensors[42], isText ? copies.JSON(wanted) : wanted, name);
    }
  });

  test(`${kind}: it is equal to what it is a copy of, lists its members and shows its tensors`, async () => {
    const given = await result();
    assert.ok("tensors" in given && Object.hasOwn(given, "tensors"));
    assert.ok(Object.keys(given).includes("tensors"));
    const shown = show(given, { depth: 3, maxArrayLength: 2 });
    assert.match(shown, /tensors: \[\s*\{/);
    assert.match(shown, new RegExp(names[1].replaceAll(".", "\\.")));
    assert.doesNotMatch(shown, /Getter|Setter/);
    assert.deepEqual(await result(), structuredClone(await result()));
    const frozen = Object.freeze(await result());
    assert.equal(frozen.tensors, frozen.tensors);
  });
}

test("texts are the same of results that somebody has looked at, of their copies, and follow their changes", async () => {
  for (const kind of ["inspect", "plan", "compare"]) {
    const format = kind === "inspect" ? formatModelInfo : formatReport;
    const unseen = format(await kinds[kind]());
    const seen = await kinds[kind]();
    assert.equal(seen.tensors.length, count);
    assert.equal(format(seen), unseen);
    assert.equal(format(structuredClone(seen)), unseen);
    seen.tensors[0].name = "renamed";
    seen.tensors.length = 1;
    if (kind !== "compare") assert.match(format(seen), /renamed/);
    assert.doesNotMatch(format(seen), /layers/);
  }
});

test("layers of ONNX have the values that they read, each its own", async () => {
  const onnx = manyTensors("onnx", 300);
  const { tensors } = await inspect(onnx.files[onnx.main]);
  const expected = (i) => [{ value: i === 0 ? "x" : `/layer${i - 1}/MatMul_output`, node: i }];
  tensors[1].layerInputs[0].value = "changed";
  for (const i of [0, 2, 10, 299]) assert.deepEqual(tensors[i].layerInputs, expected(i));
  assert.deepEqual((await inspect(onnx.files[onnx.main])).tensors[1].layerInputs, expected(1));
});
