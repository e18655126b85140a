// Every size of memory from far too little to enough: what is packed and unpacked is right, or an OutOfMemoryError.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { chainModel } from "../support/onnx.mjs";
import { packed } from "../support/packing.mjs";

/** The pages between two sizes. */
const step = 24;
const maxPages = 1024;

function outcomesWith(data) {
  const url = new URL("./pack-scarce-worker.mjs", import.meta.url);
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { workerData: data });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("with little memory packing and unpacking are right, or an OutOfMemoryError", async () => {
  const files = {
    "m.onnx": chainModel([{ name: "w", size: 500 }]),
    "words.txt": new Uint8Array(Buffer.from("an apple, a pear\n".repeat(3000))),
  };
  const expected = { pack: [await packed(files)], unpack: Object.values(files) };
  const failures = { pack: 0, unpack: 0 };
  const successes = { pack: 0, unpack: 0 };
  for (let pages = 0; successes.pack < 2; pages += step) {
    assert.ok(pages < maxPages, "it never is enough");
    const outcomes = await outcomesWith({ files, packed: expected.pack[0], pages });
    for (const [turn, both] of Object.entries(outcomes)) {
      for (const [what, { bytes, code, message }] of Object.entries(both)) {
        const where = `${what}, ${turn}, ${pages} pages`;
        if (bytes) assert.deepEqual(bytes, expected[what], where);
        else assert.equal(code, "out-of-memory", `${where}: ${message}`);
        (bytes ? successes : failures)[what]++;
      }
    }
  }
  assert.ok(failures.pack > 0 && failures.unpack > 0 && successes.unpack > 0);
});
