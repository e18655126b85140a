/** Runs two TensorFlow.js models on the same inputs and compares their outputs. */
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import simdWasm from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import plainWasm from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import { compare, init, inspect } from "modelshrink";
import type { Feeds, OutputComparison } from "modelshrink/runtime";
import type { Files } from "../../open/files.js";
import type { OutputsComparison, Pair } from "../protocol.js";
import { describeInput, fillingOf, randomFeeds, randomNumbers } from "./inputs.js";
import type { InputInfo } from "./inputs.js";
import { isTimeUp, maxSamples } from "./limits.js";
import { readSamples } from "./samples.js";

type Model = tf.GraphModel | tf.LayersModel;

/** Starts the backend: WebAssembly, which needs no graphics card and gives the same numbers everywhere. */
async function start(): Promise<void> {
  // Threads need headers that few hosts send.
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  setWasmPaths({
    "tfjs-backend-wasm.wasm": plainWasm,
    "tfjs-backend-wasm-simd.wasm": simdWasm,
    // It wants a place for each binary, of those that it does not load, too.
    "tfjs-backend-wasm-threaded-simd.wasm": simdWasm,
  });
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js could not start.");
  await tf.ready();
}

interface ModelJson {
  format?: string;
  weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
}

async function load(files: Files): Promise<Model> {
  const { files: infos } = await inspect(files);
  const named = (name: string) => {
    const found = Object.entries(files).find(([path]) => `/${path}`.endsWith(`/${name}`));
    if (!found) throw new Error(`The file ${name} is missing.`);
    return found[1];
  };
  const main = infos[0]?.name ?? "model.json";
  const { weightsManifest, ...json } = JSON.parse(await named(main).text()) as ModelJson;
  const shards = weightsManifest.flatMap(({ paths }) => paths).map(named);
  const artifacts = {
    ...json,
    weightSpecs: weightsManifest.flatMap(({ weights }) => weights),
    weightData: await new Blob(shards).arrayBuffer(),
  } as tf.io.ModelArtifacts;
  const memory = tf.io.fromMemory(artifacts);
  return json.format === "layers-model" ? tf.loadLayersModel(memory) : tf.loadGraphModel(memory);
}

function infosOf(model: Model): InputInfo[] {
  return model.inputs.map(({ name, shape, dtype }) => {
    const given = shape as (number | null)[] | undefined;
    if (given) return { name, type: dtype, shape: given.map((size) => size ?? -1) };
    throw new Error(`The model does not say what shape its input “${name}” has.`);
  });
}

const tensorOf = ({ data, dims, type }: Feeds[string]): tf.Tensor =>
  tf.tensor(data as Float32Array, dims as number[], type as "float32");

/** Runs a graph: at once where it can be, since TensorFlow.js warns of waiting for nothing. */
async function runGraph(model: tf.GraphModel, named: tf.NamedTensorMap) {
  try {
    return model.execute(named);
  } catch {
    // It has branches or loops, or an error that is told now, too.
    return model.executeAsync(named);
  }
}

/** Runs a sample; gives the numbers of all outputs in their order. */
async function run(model: Model, feeds: Feeds): Promise<Float32Array[]> {
  const inputs = Object.entries(feeds).map(([name, value]) => [name, tensorOf(value)] as const);
  const named = Object.fromEntries(inputs);
  const results =
    model instanceof tf.GraphModel
      ? await runGraph(model, named)
      : model.predict(model.inputs.map(({ name }) => named[name]!));
  const outputs = [results].flat();
  const numbers = await Promise.all(outputs.map((it) => it.data()));
  tf.dispose([inputs.map(([, it]) => it), outputs]);
  return numbers.map((it) => Float32Array.from(it));
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((length, it) => length + it.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** All samples' numbers of one output, by both models. */
type Outputs = Pair<Float32Array[]>[];

function figuresOf(names: readonly string[], outputs: Outputs) {
  const compared: OutputComparison[] = [];
  const skipped: string[] = [];
  for (const [i, { original, small }] of outputs.entries()) {
    const name = names[i] ?? `output ${i}`;
    const [was, is] = [joined(original), joined(small)];
    if (was.length === is.length) {
      const { sqnr, maxAbsError, cosine } = compare(was, is);
      // NaN where one of them is not finite.
      compared.push({ name, sqnr, maxAbsError, cosine: Number.isFinite(cosine) ? cosine : 0 });
    } else {
      skipped.push(`The output “${name}” has another length in the small model.`);
    }
  }
  if (compared.length === 0) throw new Error(`No output can be compared. ${skipped.join(" ")}`);
  return { outputs: compared, skipped };
}

/** Compares the outputs of two models on random samples, or on those of a JSON file. */
export async function compareTfjs(
  files: Pair<Files>,
  given: Blob | undefined,
  onProgress: (fraction: number) => void,
): Promise<OutputsComparison> {
  await Promise.all([init(), start()]);
  const original = await load(files.original);
  const small = await load(files.small);
  const infos = infosOf(original);
  const own = given && (await readSamples(given));
  const filling = own ? undefined : await fillingOf(infos, 2, (it) => run(original, it));
  const random = randomNumbers();
  const count = own?.length ?? maxSamples;
  const outputs: Outputs = [];
  const milliseconds = { original: 0, small: 0 };
  const first = filling ? randomFeeds(infos, filling, randomNumbers()) : own?.[0];
  // A first run takes longer than those after it, which the times are about.
  for (const model of first ? [original, small] : []) await run(model, first!);
  const begin = performance.now();
  let samples = 0;
  for (; samples < count && (samples === 0 || !isTimeUp(begin)); ++samples) {
    const feeds = filling ? randomFeeds(infos, filling, random) : own![samples]!;
    for (const [key, model] of [
      ["original", original],
      ["small", small],
    ] as const) {
      const start = performance.now();
      const numbers = await run(model, feeds);
      milliseconds[key] += performance.now() - start;
      for (const [i, it] of numbers.entries()) {
        (outputs[i] ??= { original: [], small: [] })[key].push(it);
      }
    }
    onProgress((samples + 1) / count);
  }
  return {
    samples,
    inputs: filling ? infos.map((it) => describeInput(it, filling)) : [],
    ...figuresOf(
      original.outputs.map(({ name }) => name),
      outputs,
    ),
    milliseconds: {
      original: milliseconds.original / samples,
      small: milliseconds.small / samples,
    },
  };
}
