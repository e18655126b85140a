// Patterns of names: what globs and expressions match, compared with the engine's own, and that they end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ArgumentError, plan } from "modelshrink";
import { globMatcher, matcherFor } from "../../dist/recipe/patterns.js";
import { numbersBelow } from "../support/random.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const ends = { timeout: 20_000 };

const join = (count, next) => Array.from({ length: count }, next).join("");

test("globs match what the same expressions of JavaScript match", () => {
  const below = numbersBelow(1);
  const one = (letters) => letters[below(letters.length)];
  const counts = [0, 0];
  for (let i = 0; i < 20_000; ++i) {
    // Some are longer than a word of bits.
    const glob = join(below(i % 50 === 0 ? 70 : 7), () => one(["a", "b", "😀", "*", "?", "."]));
    const literal = glob.replace(/[.]/g, "\\$&").replaceAll("*", "[^]*").replaceAll("?", "[^]");
    const name = join(below(9), () => one(["a", "b", "😀", ".", "\n"]));
    const expected = new RegExp(`^${literal}$`, "u").test(name);
    assert.equal(globMatcher(glob)(name), expected, JSON.stringify([glob, name]));
    counts[Number(expected)]++;
  }
  assert.ok(Math.min(...counts) > 1000, counts.join());
});

test("a glob as long as a name of many words matches it", () => {
  const name = join(500, (_, i) => `layer${i}.`);
  assert.ok(globMatcher(name)(name));
  assert.ok(globMatcher(`*${name.slice(7, -3)}???`)(name));
  assert.ok(!globMatcher(`*${name.slice(7, -3)}????x`)(name));
});

/** A random expression of this depth. */
function expression(below, depth) {
  const one = (words) => words[below(words.length)];
  const atoms = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    "[\\]a-c]",
    "\\w",
    "\\d",
    "\\.",
    "\\u0061",
    "\\x62",
  ];
  const edges = ["^", "$", "\\b", "\\B"];
  const more = ["\\u{1F600}", "\\ud83d\\ude00", "😀", "\\p{L}", "\\P{Lu}", "[\\p{L}_]", "\\/", "-"];
  const repeats = ["", "", "", "*", "+", "?", "*?", "{2}", "{1,}", "{0,2}", "{2,3}?", "{0}"];
  return join(1 + below(3), () => {
    const kind = below(10);
    if (kind === 0) return one(edges);
    if (kind < 3 && depth > 0) {
      const inner = expression(below, depth - 1);
      const other = expression(below, depth - 1);
      return `(${one(["", "?:"])}${inner}${one(["", `|${other}`, "|"])})${one(repeats)}`;
    }
    return one(kind === 3 ? more : atoms) + one(repeats);
  });
}

test("expressions match what the engine's own match", () => {
  const below = numbersBelow(7);
  const counts = [0, 0];
  for (let i = 0; i < 20_000; ++i) {
    const source = expression(below, 2);
    const flags = ["", "i"][below(2)];
    // V8 takes the middle of a pair of surrogates for a place where \B holds, which is no character's end.
    const letters = [
      "a",
      "b",
      "A",
      "c",
      ".",
      "1",
      "\n",
      "-",
      ...(source.includes("\\B") ? [] : ["😀"]),
    ];
    const name = join(below(8), () => letters[below(letters.length)]);
    const expected = new RegExp(source, `u${flags}`).test(name);
    const found = matcherFor(`/${source}/${flags}`, "match")(name);
    assert.equal(found, expected, JSON.stringify([source, flags, name]));
    counts[Number(expected)]++;
  }
  assert.ok(Math.min(...counts) > 1000, counts.join());
});

test("a named group is a group, and [^] any character", () => {
  assert.ok(matcherFor("/^(?<layer>x|y)[^]z$/", "match")("y\nz"));
  assert.ok(!matcherFor("/^(?<layer>x|y)[^]z$/", "match")("w\nz"));
});

test("globs and expressions that go back without end elsewhere end here", ends, async () => {
  const names = ["layers.".repeat(20_000), `${"a".repeat(50_000)}!`, "last"];
  const zeros = { dtype: "F32", shape: [32, 32], data: new Float32Array(1024) };
  const model = makeSafetensors(names.map((name) => ({ name, ...zeros })));
  for (const match of [
    "*.layers.*.weight",
    "*a*a*a*a*a*a*a*a*b",
    `${"*a".repeat(200)}*b`,
    "/(a+)+$/",
    "/^(a|a)*$/",
    "/(a*)*b/",
    "/(.*)*x{3}/",
    "/(layers\\.?)+\\d/",
    "/([a-z]+)*\\d$/",
    "/a{0,100}a{100}b/",
  ]) {
    const rules = [{ match, keep: true }];
    const { tensors, warnings } = await plan(model, { weights: "int8", rules });
    const kept = tensors.filter(({ note }) => note === "kept by a rule");
    assert.equal(kept.length, 0, match);
    assert.ok(
      warnings.some((it) => it.includes("matches no weight")),
      match,
    );
  }
});

test("what cannot be matched in linear time is refused, and so is what has too many states", () => {
  for (const [source, what] of [
    ["(a)\\1", /has "\\1"/],
    ["(?<x>a)\\k<x>", /has "\\k"/],
    ["a(?=b)", /has "\(\?="/],
    ["a(?!b)", /has "\(\?!"/],
    ["(?<=a)b", /has "\(\?<="/],
    ["(?<!a)b", /has "\(\?<!"/],
    ["(a{1000}){1000}", /too many states/],
    ["((((){9999}){9999}){9999}){9999}", /too many states/],
    [`${"(".repeat(500)}a${")".repeat(500)}`, /more than 100 groups/],
    ["(", /no regular expression/],
    ["a{2", /no regular expression/],
  ]) {
    assert.throws(
      () => matcherFor(`/${source}/`, "rules[0].match"),
      (error) =>
        error instanceof ArgumentError &&
        error.message.startsWith("rules[0].match") &&
        what.test(error.message),
      source,
    );
  }
});
