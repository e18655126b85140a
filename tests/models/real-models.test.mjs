// The real models still do their work after shrinking (onnxruntime-node; `npm run evaluate` measures more).
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { shrink } from "../../dist/index.js";
import { detectSpeech, loadLines, modelPaths, recognizeLines } from "../support/models.mjs";
import { nodeRuntime } from "../support/runtimes.mjs";

const PYTHON = "/usr/bin/python3";

const runtime = await nodeRuntime();
const folder = mkdtempSync(join(tmpdir(), "modelshrink-models-"));
after(() => rmSync(folder, { recursive: true }));

const source = (name) => new Uint8Array(readFileSync(modelPaths[name]));
const shrunk = async (name, recipe) => (await shrink(source(name), recipe)).bytes();

async function measure(bytes, work) {
  const session = await runtime.open(bytes);
  const result = await work(session);
  await session.release();
  return result;
}

test("OCR: int8 storage stays within 0.025 of fp32's character error rate, in 2.9 MB", async (t) => {
  const lines = loadLines();
  const read = (bytes) => measure(bytes, (session) => recognizeLines(session, lines));
  const before = await read(source("recognition"));
  assert.ok(before.cer > 0 && before.cer <= 0.045, `fp32 reads with ${before.cer}`);

  const bytes = await shrunk("recognition", "int8");
  const { cer } = await read(bytes);
  t.diagnostic(`${bytes.length} bytes, character error rate ${before.cer} -> ${cer}`);
  assert.ok(bytes.length <= 2.9e6, `${bytes.length} bytes`);
  assert.ok(Math.abs(cer - before.cer) <= 0.025, `${before.cer} -> ${cer}`);
});

test("speech: stripped int8 storage stays within 0.01 of fp32's probabilities, in 0.65 MB", async (t) => {
  const before = await measure(source("speech"), detectSpeech);
  assert.ok(before.speech > 0.75 && before.silence < 0.1, JSON.stringify(before));

  const bytes = await shrunk("speech", { weights: "int8", strip: true });
  const result = await measure(bytes, detectSpeech);
  t.diagnostic(`${bytes.length} bytes, speech ${before.speech} -> ${result.speech}`);
  assert.ok(bytes.length <= 0.65e6, `${bytes.length} bytes`);
  assert.ok(Math.abs(result.speech - before.speech) <= 0.01, `speech ${result.speech}`);
  assert.ok(Math.abs(result.silence - before.silence) <= 0.01, `silence ${result.silence}`);
});

const CHECK = `
import sys, onnx
for path in sys.argv[1:]:
    model = onnx.load(path)
    known = onnx.defs.onnx_opset_version()
    if all(o.version <= known for o in model.opset_import if o.domain in ("", "ai.onnx")):
        onnx.checker.check_model(model)
        print("checked", path)
`;

test("python3-onnx's checker accepts what is written", async () => {
  const absent = spawnSync(PYTHON, ["-c", "import onnx"]).status !== 0;
  assert.ok(!absent, `${PYTHON} cannot import onnx: apt-get install python3-onnx`);

  const recipes = ["fp16", "int8", "q4", "q8", { weights: "uint8", mode: "dynamic" }];
  const paths = [];
  for (const name of Object.keys(modelPaths)) {
    for (const [i, recipe] of recipes.entries()) {
      const path = join(folder, `${name}-${i}.onnx`);
      writeFileSync(path, await shrunk(name, recipe));
      paths.push(path);
    }
  }
  const output = execFileSync(PYTHON, ["-c", CHECK, ...paths], { encoding: "utf8" });
  const checked = output.match(/^checked/gm)?.length ?? 0;
  assert.equal(checked, paths.length, "a model of an opset that the checker does not know");
});
