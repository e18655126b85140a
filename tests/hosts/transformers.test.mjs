// transformers.js in Chromium with the shrinking cache as its own, in its current and its last major version.
import { describeClient } from "../support/clients.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

const modules = "/tests/hosts/node_modules";
const own = `${modules}/transformers-3/node_modules`;
const versions = [
  {
    name: "transformers.js 4",
    ort: `${modules}/onnxruntime-web/dist/`,
    imports: {
      "@huggingface/transformers": `${modules}/@huggingface/transformers/dist/transformers.web.js`,
      "onnxruntime-web/webgpu": `${modules}/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
      "onnxruntime-common": `${modules}/onnxruntime-common/dist/esm/index.js`,
    },
  },
  {
    name: "transformers.js 3.8",
    ort: `${own}/onnxruntime-web/dist/`,
    imports: {
      "@huggingface/transformers": `${modules}/transformers-3/dist/transformers.web.js`,
      "onnxruntime-web": `${own}/onnxruntime-web/dist/ort.bundle.min.mjs`,
      "onnxruntime-common": `${own}/onnxruntime-common/dist/esm/index.js`,
    },
  },
];

const block = (await hostBlock("transformers")).replace(/"Xenova\/[^"]+"/, '"tiny"');
const files = Object.entries(sentenceModel({ rows: 3000 }));
const models = Object.fromEntries(files.map(([name, body]) => [`/models/tiny/${name}`, body]));
const sentences = [
  "small models load faster",
  "large models load faster",
  "small ones load",
  "faster than large ones",
  "models than models",
];

/** Lets the library find everything on this server. */
const prepare = (wasmPaths) => `
  import { env as settings } from "@huggingface/transformers";
  Object.assign(settings, { allowLocalModels: false, useBrowserCache: false });
  settings.remoteHost = new URL("/models/", location.href).href;
  settings.remotePathTemplate = "{model}/";
  Object.assign(settings.backends.onnx.wasm, { wasmPaths: "${wasmPaths}", numThreads: 1 });
`;

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

for (const { name, ort, imports } of versions) {
  describeClient(name, {
    ...{ imports, models, weights: ["/models/tiny/onnx/model.onnx"], prepare: prepare(ort) },
    ...{ code: block, plain: block.replace(/^env\.\w*[cC]ustomCache = .*$/gm, "") },
    ...{ made: "extract", answer: neighbours, given: sentences },
  });
}
