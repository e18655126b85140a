import assert from "node:assert/strict";
import { test } from "node:test";
import { ArgumentError, presets, UnsupportedError } from "modelshrink";
import { checkRecipe } from "../../dist/recipe/check.js";
import { orderFor } from "../../dist/recipe/order.js";

const tensor = (name, shape = [64, 64], isWeight = true) => ({ name, shape, isWeight });

/** The type that each named tensor gets, or "keep". */
async function typesOf(recipe, ...tensors) {
  const { specs, which } = orderFor(await checkRecipe(recipe), tensors).order;
  return [...which].map((number) => (specs[number].keep ? "keep" : specs[number].scheme.type));
}

const specOf = async (recipe) => orderFor(await checkRecipe(recipe), [tensor("w")]).order.specs[0];

test("every preset is a valid recipe with a one-line description", async () => {
  assert.ok(Object.keys(presets).length >= 10);
  for (const [name, { description, recipe }] of Object.entries(presets)) {
    assert.match(description, /^[^\n]{10,80}$/, name);
    assert.deepEqual(await specOf(name), await specOf(recipe), name);
    assert.equal((await specOf(name)).keep, false, name);
  }
});

test("presets say what they promise", async () => {
  const shared = {
    rule: "onnx-linear",
    axis: 0,
    blockSize: 32,
    transposed: false,
    nonFinite: "error",
    saturate: false,
  };
  const int8 = { ...shared, type: "int8", granularity: "axis", symmetric: true };
  assert.deepEqual(await specOf("int8"), {
    keep: false,
    scheme: int8,
    mode: "storage",
    isForced: false,
  });
  assert.deepEqual((await specOf("uint8")).scheme.symmetric, false);
  assert.equal((await specOf("int4")).scheme.granularity, "block");
  assert.equal((await specOf("fp16")).scheme.type, "float16");
  assert.equal((await specOf("bf16")).scheme.type, "bfloat16");
  assert.equal((await specOf("dynamic")).mode, "dynamic");
  const q4 = { ...shared, type: "uint4", granularity: "block", symmetric: true };
  assert.deepEqual(await specOf("q4"), {
    keep: false,
    scheme: q4,
    mode: "lowmem",
    isForced: false,
  });
  assert.equal((await specOf("q8")).scheme.type, "uint8");
});

test("the first rule that matches decides", async () => {
  const recipe = {
    weights: "int8",
    rules: [
      { match: "head.*", keep: true },
      { match: "*.weight", weights: "float16" },
      { match: "head.weight", weights: "int4" },
    ],
  };
  const names = ["head.weight", "body.weight", "body.other"].map((name) => tensor(name));
  assert.deepEqual(await typesOf(recipe, ...names), ["keep", "float16", "int8"]);
});

test("globs match whole names, and their other characters stand for themselves", async () => {
  const matches = async (match, name) => {
    const [type] = await typesOf({ weights: "int8", rules: [{ match, keep: true }] }, tensor(name));
    return type === "keep";
  };
  for (const [glob, name, expected] of [
    ["a.b", "a.b", true],
    ["a.b", "axb", false],
    ["a*", "a/b/c", true],
    ["*b*", "abc", true],
    ["a?c", "abc", true],
    ["a?c", "abbc", false],
    ["b", "abc", false],
    ["/model/w+[0](1)", "/model/w+[0](1)", true],
    ["/^a[0-9]$/", "a7", true],
    ["/^a[0-9]$/", "ab", false],
    ["/ABC/i", "xabcx", true],
    ["/ABC/", "xabcx", false],
  ]) {
    assert.equal(await matches(glob, name), expected, `${glob} on ${name}`);
  }
});

test("small tensors stay unless a rule names them; what is no weight always stays", async () => {
  const small = tensor("small", [31, 33]);
  const enough = tensor("enough", [32, 32]);
  const constant = tensor("constant", [64, 64], false);
  const all = [small, enough, constant];
  assert.deepEqual(await typesOf("int8", ...all), ["keep", "int8", "keep"]);
  assert.deepEqual(await typesOf({ weights: "int8", minElements: 0 }, ...all), [
    "int8",
    "int8",
    "keep",
  ]);
  const rules = [{ match: "*", weights: "uint8" }];
  assert.deepEqual(await typesOf({ weights: "int8", rules }, ...all), ["uint8", "uint8", "keep"]);
});

test("each wrong value is refused with its name, itself and what is allowed", async () => {
  const int8 = { weights: "int8" };
  for (const [recipe, ...patterns] of [
    ["int9", /"int9"/, /q4/],
    ["__proto__", /"__proto__"/],
    [undefined, /recipe is undefined/],
    [["int8"], /recipe is \["int8"\]/],
    [{}, /nothing to do/, /weights, target, prune, sparse or rules/],
    [{ weights: "int7" }, /weights is "int7"/, /"uint16"/],
    [{ weights: "int8", wieghts: "int8" }, /unknown key "wieghts"/, /"weights"/],
    [{ ...int8, prune: "x" }, /prune is "x"/, /object/],
    [{ ...int8, actOrder: true }, /actOrder/, /gptq/],
    [{ ...int8, gptq: 1 }, /gptq is 1/],
    [{ gptq: true, sparse: true }, /gptq makes up for rounding errors: give weights/],
    [{ ...int8, sparse: true }, /sparse is for weights that keep their type/],
    [{ ...int8, rules: [{ match: "*", keep: true, prune: false }] }, /rules\[0\]/, /keep/],
    [{ ...int8, mode: "fast" }, /mode is "fast"/, /"lowmem"/],
    [{ ...int8, granularity: "row" }, /granularity is "row"/, /"axis"/],
    [{ ...int8, blockSize: 0 }, /blockSize is 0/, /whole number from 1/],
    [{ ...int8, blockSize: "32" }, /blockSize is "32"/],
    [{ ...int8, symmetric: 1 }, /symmetric is 1/, /true or false/],
    [{ ...int8, minElements: -1 }, /minElements is -1/],
    [{ ...int8, minElements: NaN }, /minElements is NaN/],
    [{ ...int8, nonFinite: "skip" }, /nonFinite is "skip"/, /"zero"/],
    [{ ...int8, target: 3 }, /target is 3/, /object/],
    [{ ...int8, target: {} }, /target must have one of "bitsPerWeight", "sqnr", "bytes"/],
    [{ ...int8, target: { bytes: 1, sqnr: 2 } }, /target must have one of/],
    [{ ...int8, target: { bits: 1 } }, /target has an unknown key "bits"/],
    [{ ...int8, target: { sqnr: -1 } }, /target\.sqnr is -1/, /above 0/],
    [{ ...int8, target: { bitsPerWeight: Infinity } }, /target\.bitsPerWeight is Infinity/],
    [{ weights: "int4", target: { sqnr: 9 } }, /for weights "int8", not "int4"/],
    [{ weights: { type: "int4", target: { sqnr: 9 } } }, /weights\.type is "int4"/, /only "int8"/],
    [{ weights: { type: "int8" } }, /weights\.target is undefined/],
    [{ weights: { type: "int8", target: { bytes: 9 } } }, /target\.bytes is for the whole recipe/],
    [
      { weights: { type: "int8", target: { sqnr: 9 } }, target: { sqnr: 8 } },
      /its weights have one/,
    ],
    [{ target: { sqnr: 9 }, prune: { method: "n:m", n: 2, m: 4 } }, /leave out prune/],
    [{ target: { sqnr: 9 }, mode: "lowmem" }, /leave out mode "lowmem"/],
    [{ target: { sqnr: 9 }, symmetric: false }, /leave out symmetric: false/],
    [{ target: { sqnr: 9 }, granularity: "block" }, /leave out granularity "block"/],
    [
      { rules: [{ match: "*", weights: { type: "int8", target: { sqnr: 9 } } }], mode: "lowmem" },
      /leave out mode/,
    ],
    [{ ...int8, trellis: 1 }, /trellis is 1/, /true or false/],
    [{ weights: "int4", trellis: true }, /A trellis is for weights "int8"/],
    [{ rules: [{ match: "*", weights: "int4" }], trellis: true }, /A trellis is for weights/],
    [{ ...int8, trellis: true, gptq: true }, /Either gptq or a trellis/],
    [
      { ...int8, trellis: true, prune: { method: "n:m", n: 2, m: 4 } },
      /A trellis.*leave out prune/,
    ],
    [{ ...int8, trellis: true, symmetric: false }, /A trellis.*leave out symmetric: false/],
    [{ ...int8, trellis: true, granularity: "block" }, /A trellis.*leave out granularity "block"/],
    [{ ...int8, trellis: true, mode: "lowmem" }, /A trellis.*leave out mode "lowmem"/],
    [{ ...int8, rules: {} }, /rules is {}/, /array/],
    [{ ...int8, rules: ["*"] }, /rules\[0\] is "\*"/],
    [{ ...int8, rules: [{ match: "", keep: true }] }, /rules\[0\]\.match is ""/],
    [{ ...int8, rules: [{ match: "/(/", keep: true }] }, /rules\[0\]\.match/, /regular/],
    [{ ...int8, rules: [{ match: "*" }] }, /rules\[0\]/, /weights or prune/],
    [{ ...int8, rules: [{ match: "*", keep: true, weights: "int8" }] }, /weights or prune/],
    [{ ...int8, rules: [{ match: "*", keep: false }] }, /keep is false/],
    [{ ...int8, rules: [{ match: "*", weights: "x" }] }, /rules\[0\]\.weights is "x"/],
    [{ ...int8, rules: [{ match: "*", typ: "int8" }] }, /rules\[0\] has an unknown key "typ"/],
  ]) {
    await assert.rejects(
      checkRecipe(recipe),
      (error) => {
        assert.ok(error instanceof ArgumentError, String(error));
        for (const pattern of patterns) assert.match(error.message, pattern);
        return true;
      },
      JSON.stringify(recipe),
    );
  }
});

test("formats that are to come are unsupported, not unknown", async () => {
  for (const weights of ["nf4", "q4_K", "Q6_K", "iq4_nl", "mxfp4"]) {
    await assert.rejects(checkRecipe({ weights }), UnsupportedError, weights);
  }
});
