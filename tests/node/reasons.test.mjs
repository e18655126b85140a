/** Reasons are data: the core's and the recipe's codes and sentences are those of src/formats/reasons.def. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { plan } from "modelshrink";
import { explain } from "../../dist/recipe/reasons.js";
import { reasonRows } from "../../scripts/reason-table.mjs";
import { safetensorsFile } from "../support/safetensors.mjs";

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
