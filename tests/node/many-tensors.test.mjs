// Bounded also in the number of tensors: models of very many of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { shrink } from "../../dist/index.js";
import { formatModelInfo, formatReport } from "../../dist/text.js";
import { manyNodes } from "../support/many-tensors.mjs";

/** More than there may be arguments of a call. */
const numRows = 200_000;

test("a table of 200,000 rows is shown whole", () => {
  const tensors = Array.from({ length: numRows }, (_, i) => ({
    ...{ name: `w${i}`, shape: [4], outputShape: [4], type: "float32", isWeight: true },
    ...{ consumer: "", storedBytes: 16, from: "float32", to: "int8" },
    ...{ inputBytes: 16, outputBytes: 4, sqnr: 40, isQuantized: false },
  }));
  const info = { format: "onnx", inputBytes: 16, files: [], metadata: {}, tensors };
  const all = { maxRows: Infinity };
  assert.ok(formatModelInfo(info, all).split("\n").length > numRows);
  const report = { format: "onnx", inputBytes: 16, outputBytes: 4, files: [], tensors };
  assert.ok(formatReport(report, all).split("\n").length > numRows);
});

test("a stripped graph of 20,000 nodes is written in pieces that do not grow in number with its nodes", async () => {
  const countWrites = async (count) => {
    let writes = 0;
    const sink = {
      open: () => undefined,
      write: () => {
        writes++;
      },
      close: () => undefined,
      abort: () => undefined,
    };
    await shrink(manyNodes(count), { weights: "int8", strip: true }, { sink });
    return writes;
  };
  const [few, many] = [await countWrites(100), await countWrites(20_000)];
  assert.ok(many <= few + 4, `${few} writes of 100 nodes, ${many} of 20,000`);
});
