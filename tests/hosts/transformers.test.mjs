// transformers.js in Chromium with the shrinking cache as its own, in its current and its last major version.
import { transformersApp } from "../support/client-apps.mjs";
import { describeClient } from "../support/clients.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

const block = await hostBlock("transformers");
const files = Object.entries(sentenceModel({ rows: 3000 }));
const models = Object.fromEntries(files.map(([name, body]) => [`/models/tiny/${name}`, body]));
const sentences = [
  "small models load faster",
  "large models load faster",
  "small ones load",
  "faster than large ones",
  "models than models",
];

/** For each sentence, the others in the order of their nearness. */
async function neighbours(texts) {
  const { dims, data } = await globalThis.made(texts, { pooling: "mean", normalize: true });
  const vectors = texts.map((_, i) => [...data.slice(i * dims[1], (i + 1) * dims[1])]);
  const likeness = (i, j) => vectors[i].reduce((sum, it, k) => sum + it * vectors[j][k], 0);
  const says = texts.map((_, i) =>
    texts
      .map((_, j) => j)
      .filter((j) => j !== i)
      .sort((a, b) => likeness(i, b) - likeness(i, a)),
  );
  return { says, numbers: vectors[0] };
}

for (const version of [4, 3.8]) {
  describeClient(`transformers.js ${version}`, {
    ...transformersApp(block, version),
    ...{ models, weights: ["/models/tiny/onnx/model.onnx"] },
    ...{ answer: neighbours, given: sentences },
  });
}
