// Layouts that were cut off: what of an earlier run is gone on with.
import assert from "node:assert/strict";
import { readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { shrink } from "modelshrink";
import { listing, withHub } from "../support/hub.mjs";
import { contents, layoutFolder, transformers } from "../support/layouts.mjs";
import { externalSentenceModel } from "../support/sentence-model.mjs";
import { seq2seqModel } from "../support/seq2seq-model.mjs";

const { at, save } = layoutFolder();

/** A run that stops when so many models are finished. */
async function stopAfter(count, source, options, words) {
  const controller = new AbortController();
  let finished = 0;
  const onProgress = ({ phase, done, total }) => {
    // What is written of the first model is all that is known of its end.
    if (phase === "write" && done > (total * count) / 5 && ++finished > 0) controller.abort();
  };
  const { signal } = controller;
  await assert.rejects(shrink(source, words, { ...options, signal, onProgress }), {
    name: "AbortError",
  });
}

test("a layout that was cut off goes on with resume: finished models are checked, and stay", async () => {
  const source = await save(seq2seqModel());
  const out = at("out");
  const part = at(".out.part");
  const options = { ...transformers, sink: out, resume: true };
  const expected = await shrink(source, undefined, transformers);
  await stopAfter(2, source, options);
  const left = Object.keys(await contents(part)).filter((it) => /onnx$/.test(it));
  const finished = left.filter((it) => !it.includes("/."));
  assert.ok(finished.length > 1, String(left));
  // One of them is damaged meanwhile, and something else lies there.
  const damaged = await readFile(join(part, finished[0]));
  damaged[damaged.length >> 1] ^= 1;
  await writeFile(join(part, finished[0]), damaged);
  await writeFile(join(part, "onnx/model_old.onnx"), "of an earlier run");
  const before = await stat(join(part, finished[1]));
  const { report } = await shrink(source, undefined, options);
  assert.equal((await stat(join(out, finished[1]))).ino, before.ino, "it is the same file");
  const found = await contents(out);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected.files).sort());
  for (const [name, blob] of Object.entries(expected.files)) {
    assert.deepEqual(found[name], Buffer.from(await blob.arrayBuffer()), name);
  }
  assert.deepEqual(report, expected.report);
  assert.deepEqual(await readdir(at()), ["out", "repository"]);
});

test("what is left of another recipe or source is not gone on with; without resume it goes", async () => {
  const source = await save(seq2seqModel());
  const out = at("out");
  const options = { ...transformers, sink: out, resume: true };
  await stopAfter(2, source, options);
  await assert.rejects(shrink(source, { strip: true }, options), {
    code: "argument",
    message: /Cannot resume: the recipe .* is another since. Run without resume to start anew/,
  });
  await symlink("/", at(".out.part/link"));
  await assert.rejects(shrink(source, undefined, options), /in the way of this run's own folder/);
  await shrink(source, undefined, { ...options, resume: false });
  assert.deepEqual(await readdir(at()), ["out", "repository"]);
  for (const sink of [undefined, () => new WritableStream()]) {
    await assert.rejects(shrink(source, undefined, { ...options, sink }), /resume needs a path/);
  }
});

test("what came from a hub stays for a run that goes on, at the same commit", async () => {
  const files = externalSentenceModel();
  const names = Object.keys(files).filter((it) => !it.endsWith(".bin"));
  const options = { ...transformers, sink: at("out"), resume: true };
  await withHub(
    listing(names),
    async (url, requests) => {
      await stopAfter(1, url, options);
      requests.splice(0);
      await shrink(url, undefined, options);
      assert.ok(!requests.some((path) => path.includes("onnx")), String(requests));
    },
    files,
  );
  const { files: expected } = await shrink(files, undefined, transformers);
  const found = await contents(at("out"));
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
});
