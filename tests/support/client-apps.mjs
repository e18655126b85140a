// What a page needs to run the modules of docs/ that load a model by the cache, and the same apps without it. Each app is
// { imports, inputs, prepare, code, plain, made }, as describeClient and measureVisits take it.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import * as esbuild from "esbuild";
import { packageFile } from "./packages.mjs";
import { root } from "./run.mjs";

const ort = "/node_modules/onnxruntime-web/dist/";
const hosts = "/tests/hosts/node_modules";
const third = `${hosts}/transformers-3/node_modules`;

/** onnxruntime-web's build of this name; `data` are the paths of external data. */
export function onnxruntimeApp(code, path, { build = "wasm", data = [] } = {}) {
  const externalData = data.map((it) => ({ path: basename(it), data: it }));
  return {
    imports: { "onnxruntime-web": `${ort}ort.${build}.bundle.min.mjs` },
    prepare: `
      import { env as settings } from "onnxruntime-web";
      Object.assign(settings.wasm, { wasmPaths: "${ort}", numThreads: 1 });
    `,
    plain: `
      import * as ort from "onnxruntime-web";
      const options = { externalData: ${JSON.stringify(externalData)} };
      const session = await ort.InferenceSession.create("${path}", options);
    `,
    ...{ code, made: "session" },
  };
}

/** TensorFlow.js and its wasm backend as a bundler makes them, with one core for both, and the backend's binary: routes. */
async function bundledTfjs() {
  const wasm = "tfjs-backend-wasm-simd.wasm";
  const { outputFiles } = await esbuild.build({
    entryPoints: { tfjs: "@tensorflow/tfjs", backend: "@tensorflow/tfjs-backend-wasm" },
    ...{ bundle: true, splitting: true, format: "esm", platform: "browser", write: false },
    ...{ absWorkingDir: root, outdir: "bundled", logLevel: "error" },
  });
  const script = ({ path, contents }) => [
    `/bundled/${basename(path)}`,
    { body: Buffer.from(contents), headers: { "content-type": "text/javascript" } },
  ];
  return Object.fromEntries([
    ...outputFiles.map(script),
    [`/tfjs/${wasm}`, readFileSync(packageFile(`@tensorflow/tfjs-backend-wasm/dist/${wasm}`))],
  ]);
}

/** TensorFlow.js with a graph model. */
export async function tfjsApp(code, path) {
  return {
    imports: {
      "@tensorflow/tfjs": "/bundled/tfjs.js",
      "@tensorflow/tfjs-backend-wasm": "/bundled/backend.js",
    },
    inputs: await bundledTfjs(),
    prepare: `
      import { setWasmPaths as setPaths } from "@tensorflow/tfjs-backend-wasm";
      import { setBackend } from "@tensorflow/tfjs";
      setPaths("/tfjs/");
      await setBackend("wasm");
    `,
    plain: `
      import * as tf from "@tensorflow/tfjs";
      const model = await tf.loadGraphModel("${path}");
    `,
    ...{ code, made: "model" },
  };
}

/** wllama; without the cache it downloads by itself, into its own one. */
export const wllamaApp = (code, path) => ({
  imports: { "@wllama/wllama": "/node_modules/@wllama/wllama/esm/index.js" },
  inputs: {
    "/wllama/wllama.wasm": readFileSync(packageFile("@wllama/wllama/esm/wasm/wllama.wasm")),
  },
  plain: `
    import { Wllama } from "@wllama/wllama";
    const wllama = new Wllama({ default: "/wllama/wllama.wasm" });
    const pooling_type = "LLAMA_POOLING_TYPE_MEAN";
    const settings = { embeddings: true, pooling_type, n_ctx: 64, n_threads: 1 };
    await wllama.loadModelFromUrl(new URL("${path}", location.href).href, settings);
  `,
  ...{ code, made: "wllama" },
});

const transformersImports = {
  4: {
    "@huggingface/transformers": `${hosts}/@huggingface/transformers/dist/transformers.web.js`,
    "onnxruntime-web/webgpu": `${hosts}/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
    "onnxruntime-common": `${hosts}/onnxruntime-common/dist/esm/index.js`,
  },
  3.8: {
    "@huggingface/transformers": `${hosts}/transformers-3/dist/transformers.web.js`,
    "onnxruntime-web": `${third}/onnxruntime-web/dist/ort.bundle.min.mjs`,
    "onnxruntime-common": `${third}/onnxruntime-common/dist/esm/index.js`,
  },
};

/** transformers.js of a version, which finds the repository "tiny" in /models/tiny/; without the cache it uses its own. */
export const transformersApp = (code, version) => ({
  imports: transformersImports[version],
  prepare: `
    import { env as settings } from "@huggingface/transformers";
    settings.allowLocalModels = false;
    settings.remoteHost = new URL("/models/", location.href).href;
    settings.remotePathTemplate = "{model}/";
    const wasmPaths = "${version === 4 ? hosts : third}/onnxruntime-web/dist/";
    Object.assign(settings.backends.onnx.wasm, { wasmPaths, numThreads: 1 });
  `,
  code: code.replace(/"Xenova\/[^"]+"/, '"tiny"'),
  plain: `
    import { pipeline } from "@huggingface/transformers";
    const extract = await pipeline("feature-extraction", "tiny", { dtype: "fp32" });
  `,
  made: "extract",
});
