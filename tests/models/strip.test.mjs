// Stripped models compute the very same, in fewer bytes (onnxruntime-node, python3-onnx's checker).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect, plan, shrink } from "../../dist/index.js";
import { loadLines, modelPaths } from "../support/models.mjs";
import { recognitionInput } from "../support/recognition.mjs";
import { nodeRuntime } from "../support/runtimes.mjs";
import { quietNoise } from "../support/speech.mjs";

const runtime = await nodeRuntime();
const folder = mkdtempSync(join(tmpdir(), "modelshrink-strip-"));
after(() => rmSync(folder, { recursive: true }));

const source = (name) => new Uint8Array(readFileSync(modelPaths[name]));
const keepAll = { weights: "int8", rules: [{ match: "*", keep: true }] };
const recipes = {
  "as it is": keepAll,
  storage: { weights: "int8" },
  dynamic: { weights: "uint8", mode: "dynamic" },
  lowmem: { weights: "uint4", mode: "lowmem", symmetric: true },
};

const feeds = {
  recognition: (inputNames) => ({ [inputNames[0]]: recognitionInput(loadLines()[0].image) }),
  speech: () => ({
    input: { data: quietNoise(576), dims: [1, 576] },
    state: { data: quietNoise(256), dims: [2, 1, 128] },
    sr: { data: BigInt64Array.of(16000n), dims: [] },
  }),
};

/** Every output's bytes. */
async function outputsOf(name, bytes) {
  const session = await runtime.open(bytes);
  const outputs = await session.run(feeds[name](session.inputNames));
  const all = session.outputNames.map((it) => [it, Buffer.from(outputs[it].data.buffer)]);
  await session.release();
  return all;
}

for (const name of Object.keys(feeds)) {
  for (const [what, recipe] of Object.entries(recipes)) {
    test(`${name}, ${what}: stripped, it computes the same in fewer bytes`, async (t) => {
      const whole = await (await shrink(source(name), recipe)).bytes();
      const planned = await plan(source(name), { ...recipe, strip: true });
      const stripped = await (await shrink(source(name), { ...recipe, strip: true })).bytes();
      t.diagnostic(`${whole.length} -> ${stripped.length} bytes`);
      assert.equal(stripped.length, planned.outputBytes);
      assert.ok(stripped.length < whole.length);
      assert.deepEqual(await outputsOf(name, stripped), await outputsOf(name, whole));

      const weights = ({ tensors }) => tensors.filter((it) => it.isWeight || it.quantized);
      const names = async (bytes) => weights(await inspect(bytes)).map((it) => it.name);
      assert.deepEqual(await names(stripped), await names(whole));

      const path = join(folder, "model.onnx");
      writeFileSync(path, stripped);
      const check = "import sys, onnx; onnx.checker.check_model(sys.argv[1])";
      execFileSync("/usr/bin/python3", ["-c", check, path]);
    });
  }
}

test("speech: int8 storage, stripped, fits 0.65 MB", async () => {
  const { outputBytes } = await plan(source("speech"), { weights: "int8", strip: true });
  assert.ok(outputBytes <= 650_000, `${outputBytes} bytes`);
  const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const args = [cli, "plan", modelPaths.speech, "--strip", "--json"];
  const printed = execFileSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(JSON.parse(printed).outputBytes, outputBytes);
});

test("strip must be a boolean", async () => {
  await assert.rejects(plan(source("speech"), { weights: "int8", strip: "yes" }), {
    name: "ArgumentError",
    message: /^strip is "yes"/,
  });
});
