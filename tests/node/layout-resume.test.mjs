// Layouts that were cut off: what of an earlier run is gone on with.
import assert from "node:assert/strict";
import {
  appendFile,
  copyFile,
  link,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { shrink } from "modelshrink";
import { commit, listing, withHub } from "../support/hub.mjs";
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

test("what came from a hub is held against what it was when it had come, and comes anew when it is not that", async () => {
  const files = externalSentenceModel();
  const names = Object.keys(files).filter((it) => !it.endsWith(".bin"));
  const { files: expected } = await shrink(files, undefined, transformers);
  const options = { ...transformers, sink: at("out"), resume: true };
  const source = at(".out.part/.source", commit);
  const main = "onnx/model.onnx";
  const note = at(".out.part/.source", `${commit}.whole`, main);
  const changed = async (path) => {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(path, bytes);
  };
  for (const [what, damage] of Object.entries({
    "another bit": () => changed(join(source, main)),
    "cut off": () => truncate(join(source, main), 1000),
    "too long": () => appendFile(join(source, main), "more"),
    empty: () => truncate(join(source, main), 0),
    "another file": () => copyFile(join(source, "onnx/weights.bin"), join(source, main)),
    "a link": async () => {
      await rename(join(source, main), at("elsewhere"));
      await link(at("elsewhere"), join(source, main));
    },
    gone: () => rm(join(source, main)),
    "no note": () => rm(note),
    "a note of zeros": async () => writeFile(note, Buffer.alloc((await stat(note)).size)),
    "a note that is endless": () => truncate(note, 2 ** 40),
    "another's note": () => copyFile(join(dirname(note), "weights.bin"), note),
  })) {
    await withHub(
      listing(names),
      async (url, requests) => {
        await stopAfter(1, url, options);
        await damage();
        requests.splice(0);
        await shrink(url, undefined, options);
        const models = requests.filter((path) => path.startsWith("/cdn/onnx/"));
        assert.deepEqual(models, [`/cdn/${main}`], what);
      },
      files,
    );
    const found = await contents(at("out"));
    for (const [name, blob] of Object.entries(expected))
      assert.deepEqual(found[name], Buffer.from(await blob.arrayBuffer()), `${what}: ${name}`);
    assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
    await rm(at("out"), { recursive: true });
    await rm(at("elsewhere"), { force: true });
  }
});
