// Real TensorFlow.js models still do their work after shrinking (`npm run evaluate` measures more).
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { shrink } from "../../dist/index.js";
import {
  bytesOf,
  difference,
  modelFiles,
  photos,
  runModel,
  shrunkFiles,
  tensorflow,
  tfjsModels,
} from "../support/tfjs-models.mjs";

let tf;
let images;
before(async () => {
  tf = await tensorflow();
  images = await photos(2);
});

/** Model → the lowest cosine of any output, and the size, with one scale a channel. */
const goals = {
  posenet: { cosine: 0.98, bytes: 1.36e6 },
  "faceres-deep": { cosine: 0.98, bytes: 3.67e6 },
  mobilefacenet: { cosine: 0.999, bytes: 1.55e6 },
};

for (const [name, goal] of Object.entries(goals)) {
  test(`${name}: int8 gives outputs with a cosine of ${goal.cosine} at least`, async (t) => {
    const spec = tfjsModels[name];
    const files = await modelFiles(spec.path);
    const reference = (await runModel(tf, files, spec, images)).outputs;
    const measure = async (recipe) => {
      const out = await shrunkFiles(shrink, files, recipe);
      const { outputs } = await runModel(tf, out, spec, images);
      return { bytes: bytesOf(out), ...difference(reference, outputs) };
    };
    const channels = await measure("int8");
    const whole = await measure({ weights: "int8", granularity: "tensor" });
    t.diagnostic(`${JSON.stringify(channels)}; per tensor ${JSON.stringify(whole)}`);
    assert.ok(channels.worst >= goal.cosine, `cosine ${channels.worst}`);
    assert.ok(channels.bytes <= goal.bytes, `${channels.bytes} bytes`);
    assert.ok(channels.bytes <= whole.bytes * 1.05, `${whole.bytes} bytes per tensor`);
    assert.ok(whole.worst < channels.worst, `per tensor ${whole.worst}`);
  });
}

test("esrgan-thick x2, a layers model in 7 shards: uint8 changes no pixel by 0.01", async (t) => {
  const spec = { ...tfjsModels["esrgan-thick x2"], size: 24 };
  const files = await modelFiles(spec.path);
  const reference = (await runModel(tf, files, spec, images)).outputs;
  const out = await shrunkFiles(shrink, files, "uint8");
  const { maxError } = difference(reference, (await runModel(tf, out, spec, images)).outputs);
  t.diagnostic(`${bytesOf(out)} bytes, largest error ${maxError}`);
  assert.ok(bytesOf(out) <= 7.5e6);
  assert.ok(maxError < 0.01, `${maxError}`);
});
