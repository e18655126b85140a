// Bounded also in the number of tensors: models of very many of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect, plan, shrink } from "../../dist/index.js";
import { formatModelInfo, formatReport } from "../../dist/text.js";
import { formatsOfMany, manyMetadata, manyNodes, manyTensors } from "../support/many-tensors.mjs";

/** The number of calls that the core has made into JavaScript. */
let calls = 0;

/** Makes instances of which each call into JavaScript is counted; the core is loaded after it. */
WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(module, imports) {
    const counted = (given) =>
      typeof given === "function"
        ? (...values) => {
            calls++;
            return given(...values);
          }
        : given;
    const all = Object.entries(imports).map(([name, members]) => [
      name,
      Object.fromEntries(Object.entries(members).map(([key, it]) => [key, counted(it)])),
    ]);
    super(module, Object.fromEntries(all));
  }
};

async function callsOf(work) {
  const before = calls;
  await work();
  return calls - before;
}

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

for (const format of formatsOfMany) {
  test(`${format}: inspect and plan cross out of the core as often for 8,000 tensors as for 200, but to read bytes`, async () => {
    const countCalls = (count) => {
      const { files, main } = manyTensors(format, count);
      const source = Object.keys(files).length > 1 ? files : files[main];
      return callsOf(async () => {
        await inspect(source);
        await plan(source, { weights: "float16", minElements: 0 });
      });
    };
    await countCalls(10);
    const few = await countCalls(200);
    const many = await countCalls(8000);
    assert.ok(few > 0 && many <= few + 780, `${few} calls for 200 tensors, ${many} for 8,000`);
  });
}

test("of 200,000 strings of metadata the first 10,000 are there, and the others are counted", async () => {
  const { files, main } = manyMetadata(numRows);
  const info = await inspect(files[main]);
  assert.equal(Object.keys(info.metadata).length, 10_000);
  assert.equal(info.metadata.k0, "v");
  assert.equal(info.metadataLeftOut, numRows - 10_000);
  assert.match(formatModelInfo(info), /199,?900 more/);
  assert.equal((await inspect(manyMetadata(3).files[main])).metadataLeftOut, undefined);
});
