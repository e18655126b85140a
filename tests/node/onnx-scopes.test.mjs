// Values that get nodes of their own keep apart from others of the same name in nested graphs.
import assert from "node:assert/strict";
import { test } from "node:test";
import ort from "onnxruntime-node";
import { compare, init, shrink } from "modelshrink";
import { bytes, initializer, string, valueInfo } from "../support/onnx.mjs";
import {
  graphAttribute,
  int,
  model,
  noise,
  node,
  run,
  sqnr,
  weight,
} from "../support/onnx-graphs.mjs";

await init();

const shape = [3, 48];
const own = (name) =>
  bytes(5, initializer({ ...weight(name, [48, 48]), values: noise(48 * 48, 7) }));

/** A branch of an If: `fields` are its nodes and initializers. */
const branch = (name, output, ...fields) =>
  graphAttribute(
    name,
    Buffer.concat([...fields, string(2, name), bytes(12, valueInfo(output, shape))]),
  );

// True, and not known before X is: runtimes would put the branch in the place of its If.
const condition = Buffer.concat([
  node("ReduceMax", ["X"], ["largest"], int("keepdims", 0)),
  node("Cast", ["largest"], ["c"], int("to", 9)),
]);

const graphs = {
  "an initializer of a branch named like one of the main graph": [
    condition,
    node(
      "If",
      ["c"],
      ["z"],
      branch("then_branch", "p", node("MatMul", ["X", "W"], ["p"]), own("W")),
      branch("else_branch", "q", node("Identity", ["X"], ["q"])),
    ),
    node("MatMul", ["z", "W"], ["Y"]),
  ],
  "branches that both have one of that name": [
    condition,
    node(
      "If",
      ["c"],
      ["z"],
      branch("then_branch", "p", node("MatMul", ["X", "W"], ["p"]), own("W")),
      branch("else_branch", "q", node("MatMul", ["X", "W"], ["q"]), own("W")),
    ),
    node("MatMul", ["z", "W"], ["Y"]),
  ],
  "a branch within a branch, between them one that uses the outer value": [
    condition,
    node(
      "If",
      ["c"],
      ["z"],
      branch(
        "then_branch",
        "p",
        node("MatMul", ["X", "W"], ["a"]),
        node(
          "If",
          ["c"],
          ["p"],
          branch("then_branch", "r", node("MatMul", ["a", "W"], ["r"]), own("W")),
          branch("else_branch", "s", node("MatMul", ["a", "W"], ["s"])),
        ),
      ),
      branch("else_branch", "q", node("Identity", ["X"], ["q"])),
    ),
    node("MatMul", ["z", "W"], ["Y"]),
  ],
  "one that only the inner graph defines twice": [
    condition,
    node(
      "If",
      ["c"],
      ["z"],
      branch(
        "then_branch",
        "p",
        own("V"),
        node("MatMul", ["X", "V"], ["a"]),
        node(
          "If",
          ["c"],
          ["p"],
          branch("then_branch", "r", node("MatMul", ["a", "V"], ["r"]), own("V")),
          branch("else_branch", "s", node("Identity", ["a"], ["s"])),
        ),
      ),
      branch("else_branch", "q", node("Identity", ["X"], ["q"])),
    ),
    node("MatMul", ["z", "W"], ["Y"]),
  ],
};

const recipes = {
  float16: { weights: "float16" },
  int8: { weights: "int8" },
  int4: { weights: "int4" },
  dynamic: { weights: "uint8", mode: "dynamic" },
  lowmem: { weights: "uint4", mode: "lowmem" },
};

for (const [what, nodes] of Object.entries(graphs)) {
  test(`names are unique in every scope that sees them: ${what}`, async () => {
    const parts = { nodes, weights: [weight("W", [48, 48])], x: shape, y: shape };
    const file = model(parts);
    const original = await run(ort, file, parts);
    for (const [form, recipe] of Object.entries(recipes)) {
      for (const strip of [false, true]) {
        const result = await shrink(file, { ...recipe, strip });
        const small = await result.bytes();
        assert.ok(small.length < file.length, form);
        const db = sqnr(original, await run(ort, small, parts));
        assert.ok(db > 9, `${form}: ${db.toFixed(1)} dB`);
      }
    }
  });
}

test("weights of one name in two branches are compared with what they became", async () => {
  const named = bytes(
    1,
    Buffer.concat([
      ...[string(1, "c"), string(2, "Y"), string(3, "choice"), string(4, "If")],
      branch("then_branch", "p", node("MatMul", ["X", "W"], ["p"]), own("W")),
      branch("else_branch", "q", node("MatMul", ["X", "W"], ["q"]), own("W")),
    ]),
  );
  const file = model({ nodes: [condition, named], weights: [], x: shape, y: shape });
  for (const [form, recipe] of Object.entries(recipes)) {
    const small = await (await shrink(file, recipe)).bytes();
    const { tensors } = await compare(file, small);
    for (const name of ["choice.then_branch/W", "choice.else_branch/W"]) {
      assert.ok(tensors.find((it) => it.name === name).sqnr > 9, `${form}: ${name}`);
    }
  }
});

test("a weight that must keep its name as an output stays as it is where a branch has that name", async () => {
  const nodes = graphs["an initializer of a branch named like one of the main graph"];
  const more = [bytes(12, valueInfo("W", [48, 48]))];
  const parts = { nodes, weights: [weight("W", [48, 48])], more, x: shape, y: shape };
  const file = model(parts);
  const result = await shrink(file, { weights: "int8" });
  const [outer] = result.report.tensors.filter(({ name }) => name === "W");
  assert.match(outer.note, /another tensor is called "W"/);
  const db = sqnr(await run(ort, file, parts), await run(ort, await result.bytes(), parts));
  assert.ok(db > 35, `${db} dB`);
});
