/** Reasons are data: the core's and the recipe's codes and sentences are those of src/formats/reasons.def. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { plan } from "modelshrink";
import { explain } from "../../dist/recipe/reasons.js";
import { modelPaths } from "../support/models.mjs";
import { reasonRows } from "../support/reason-table.mjs";

const rows = new Map((await reasonRows()).map((row) => [row.code, row]));

/** The sentence of a reason, by the table alone. */
function sentenceOf({ code, arguments: values = {}, cause }) {
  return rows
    .get(code)
    .sentence.replace(/\{(\w+)(?::\w+)?\}/g, (_, place) =>
      place === "cause" ? sentenceOf(cause) : String(values[place]),
    );
}

test("a reason of the recipe becomes the note", () => {
  const tensor = { note: "another", reasons: [{ code: "notAWeight" }] };
  const reason = {
    code: "prunedInstead",
    arguments: { method: "n:m" },
    cause: { code: "inputsNotSeen" },
  };
  explain(tensor, reason);
  assert.deepEqual(tensor, {
    note: "its inputs were not seen, so pruned by n:m",
    reasons: [reason],
  });
});

test("the note of a planned tensor is the sentences of its reasons", async () => {
  const codes = new Set();
  for (const recipe of ["int8", "q4", "bf16", { prune: { method: "structured", sparsity: 0.3 } }]) {
    const { tensors } = await plan(modelPaths.recognition, recipe);
    for (const { note, reasons } of tensors) {
      assert.equal(note, reasons?.map(sentenceOf).join("; "));
      for (const { code } of reasons ?? []) codes.add(code);
    }
  }
  for (const code of ["tooFewElements", "needsOpset"]) assert.ok(codes.has(code), code);
});
