// The TensorFlow.js part of `npm run evaluate`: real models, each shrunk in every way.
import { shrink } from "../dist/index.js";
import {
  bytesOf,
  convertedFiles,
  difference,
  modelFiles,
  photos,
  runModel,
  shrunkFiles,
  tensorflow,
  tfjsModels,
} from "../tests/support/tfjs-models.mjs";
import { machineName } from "../tests/support/docs.mjs";
import { markdownTable } from "../tests/support/markdown-table.mjs";

/** Label → the files of a shrunk model. */
const by = (recipe) => (files) => shrunkFiles(shrink, files, recipe);
const variants = {
  float32: (files) => files,
  float16: by("fp16"),
  uint16: by({ weights: "uint16", symmetric: false }),
  "int8, a scale a channel": by("int8"),
  "int8, a scale a tensor": by({ weights: "int8", granularity: "tensor" }),
  "uint8 as tensorflowjs, biases too": convertedFiles,
};

const cosineText = (cosine) => (cosine > 0.9999995 ? "1.000000" : cosine.toFixed(6));

async function rowsOf(tf, name, images) {
  const spec = tfjsModels[name];
  const files = await modelFiles(spec.path);
  // The first run compiles.
  const { outputs: reference } = await runModel(tf, files, spec, images);
  const rows = [];
  for (const [variant, make] of Object.entries(variants)) {
    const out = await make(files);
    const { outputs, runMs } = await runModel(tf, out, spec, images);
    const { worst, maxError } = difference(reference, outputs);
    rows.push({ variant, sizeBytes: bytesOf(out), worst, maxError, runMs });
    console.error(`${name}, ${variant}: ${JSON.stringify(rows.at(-1))}`);
  }
  return rows;
}

/** {results, markdown}. */
export async function evaluateTfjs() {
  const tf = await tensorflow();
  const images = await photos(3);
  const results = {};
  for (const name of Object.keys(tfjsModels)) results[name] = await rowsOf(tf, name, images);
  const sections = Object.entries(results).map(([name, rows]) => {
    const body = rows.map(({ variant, sizeBytes, worst, maxError, runMs }) => [
      variant,
      (sizeBytes / 1e6).toFixed(2),
      cosineText(worst),
      String(Number(maxError.toPrecision(2))),
      runMs.toFixed(0),
    ]);
    const header = ["weights", "MB", "worst cosine", "largest error", "ms a photo"];
    return `**${name}**\n\n${markdownTable(header, body)}`;
  });
  const machine = `Measured on ${machineName()}, @tensorflow/tfjs ${tf.version.tfjs} (wasm), one thread, ${images.length} photos.`;
  return { results, markdown: [machine, ...sections].join("\n\n") };
}
