// The Fashion-MNIST images and the two networks trained on them, before anything shrinks these.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  accuracyOf,
  batches,
  bestClasses,
  calibrationImages,
  fashionPaths,
  testImages,
  trained,
} from "../support/fashion.mjs";
import { webRuntime } from "../support/runtimes.mjs";

const images = testImages();

const keys = ({ pixels, labels }) =>
  Array.from(labels, (_, i) =>
    Buffer.from(pixels.subarray(i * 784, (i + 1) * 784)).toString("latin1"),
  );

test("the test images: a thousand of each class, none of them blank", () => {
  const counts = new Array(10).fill(0);
  images.labels.forEach((label) => ++counts[label]);
  assert.deepEqual(counts, new Array(10).fill(1000));
  assert.equal(images.pixels.length, 10000 * 784);
  assert.ok(keys(images).every((key) => /[^\0]/.test(key)));
  const few = testImages(3);
  assert.deepEqual(few.labels, images.labels.subarray(0, 30));
  assert.deepEqual(few.pixels, images.pixels.subarray(0, 30 * 784));
  assert.throws(() => testImages(1001), RangeError);
});

test("no calibration image is a test image", () => {
  const known = new Set(keys(images));
  const calibration = keys(calibrationImages(300));
  assert.equal(calibration.length, 3000);
  assert.deepEqual(
    calibration.filter((key) => known.has(key)),
    [],
  );
});

test("batches hold every image once, as 0…1", () => {
  const few = testImages(7);
  const parts = [...batches(few, 32)];
  assert.deepEqual(
    parts.map(({ dims }) => dims),
    [
      [32, 1, 28, 28],
      [32, 1, 28, 28],
      [6, 1, 28, 28],
    ],
  );
  const data = parts.flatMap((part) => [...part.data]);
  assert.deepEqual(
    data.map((value) => Math.round(value * 255)),
    [...few.pixels],
  );
  assert.equal(Math.max(...data), 1);
  assert.deepEqual(
    parts.flatMap(({ labels }) => [...labels]),
    [...few.labels],
  );
});

test("the best class is the first of the largest", () => {
  const data = Float32Array.of(-3, -1, -2, 4, 5, 5);
  assert.deepEqual(bestClasses({ data, dims: [2, 3] }), Uint8Array.of(1, 1));
});

for (const [name, path] of Object.entries(fashionPaths)) {
  test(`the ${name} recognizes as many as it did when it was trained`, async (t) => {
    const accuracy = await accuracyOf(readFileSync(path), images);
    const expected = trained.correct[name] / trained.images;
    t.diagnostic(`${(100 * accuracy).toFixed(2)} %, ${(100 * expected).toFixed(2)} % when trained`);
    assert.equal(trained.images, images.labels.length);
    assert.ok(Math.abs(accuracy - expected) <= 0.002, `${accuracy}, not ${expected}`);
  });
}

test("onnxruntime-web finds the same", async () => {
  const few = testImages(20);
  const bytes = readFileSync(fashionPaths.cnn);
  const accuracy = await accuracyOf(bytes, few, await webRuntime());
  assert.ok(Math.abs(accuracy - (await accuracyOf(bytes, few))) <= 0.005, `${accuracy}`);
});
