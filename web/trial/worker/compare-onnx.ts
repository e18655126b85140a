/** Runs two ONNX models on the same inputs and compares their outputs, by the library's `verify`. */
import { inspect } from "modelshrink";
import { verify, type Feeds, type OrtModule } from "modelshrink/runtime";
import type { InferenceSession } from "onnxruntime-web/wasm";
import type { Files } from "../../open/files.js";
import type { OutputsComparison, Pair } from "../protocol.js";
import { describeInput, fillingOf, randomFeeds, randomNumbers } from "./inputs.js";
import type { InputInfo } from "./inputs.js";
import { ort } from "./onnxruntime.js";
import { isTimeUp, maxSamples } from "./limits.js";
import { readSamples } from "./samples.js";

/** A session of which is known how long it has worked. */
interface Watched {
  session: InferenceSession;
  milliseconds: number;
}

/** The onnxruntime for `verify`, and the sessions that it makes, the original's first. */
function watch(): { module: OrtModule; sessions: Watched[] } {
  const sessions: Watched[] = [];
  const create = async (model: Uint8Array, options?: Record<string, unknown>) => {
    const watched = { session: await ort.InferenceSession.create(model, options), milliseconds: 0 };
    sessions.push(watched);
    const { inputNames, outputNames, outputMetadata } = watched.session;
    return {
      ...{ inputNames, outputNames, outputMetadata },
      async run(feeds: InferenceSession.FeedsType, fetches: readonly string[]) {
        const start = performance.now();
        try {
          return await watched.session.run(feeds, fetches);
        } finally {
          watched.milliseconds += performance.now() - start;
        }
      },
      release: () => watched.session.release(),
    };
  };
  return { module: { ...ort, InferenceSession: { create } }, sessions };
}

function infosOf({ inputMetadata }: InferenceSession): InputInfo[] {
  return inputMetadata.map((it) => {
    if (it.isTensor) return { name: it.name, type: it.type, shape: it.shape };
    throw new Error(`The input “${it.name}” is no tensor. Give inputs of your own.`);
  });
}

/** Gives the number of rows of the smallest table that ids look things up in: they must be below it. */
async function smallestTable(model: Files): Promise<number> {
  const { tensors } = await inspect(model);
  const rows = tensors.flatMap(({ consumer, shape: [first = 0, ...others] }) =>
    /Gather|Embed/.test(consumer) && others.length === 1 && first >= 32 ? [first] : [],
  );
  return rows.length > 0 ? rows.reduce((least, it) => Math.min(least, it)) : 2;
}

const tensorsOf = (feeds: Feeds) =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type as "float32", data as Float32Array, dims),
    ]),
  );

/** The samples for `verify`, and what they are in words once it has asked for them. */
class RandomSamples implements AsyncIterable<Feeds> {
  descriptions: string[] = [];
  readonly #rows: number;
  readonly #sessions: readonly Watched[];
  readonly #onProgress: (fraction: number) => void;

  constructor(rows: number, sessions: readonly Watched[], onProgress: (done: number) => void) {
    this.#rows = rows;
    this.#sessions = sessions;
    this.#onProgress = onProgress;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Feeds> {
    // Both models are loaded by now: shapes need not be asked for by a session of their own.
    const { session } = this.#sessions[0]!;
    const inputs = infosOf(session);
    const filling = await fillingOf(inputs, this.#rows, (it) => session.run(tensorsOf(it)));
    this.descriptions = inputs.map((it) => describeInput(it, filling));
    const random = randomNumbers();
    const start = performance.now();
    for (let i = 0; i < maxSamples && !(i > 0 && isTimeUp(start)); ++i) {
      yield randomFeeds(inputs, filling, random);
      this.#onProgress((i + 1) / maxSamples);
    }
  }
}

/** Gives the same samples; both models run on the first of them beforehand, since a first run takes longer. */
async function* warmedUp(
  samples: Iterable<Feeds> | AsyncIterable<Feeds>,
  sessions: readonly Watched[],
): AsyncGenerator<Feeds> {
  let isFirst = true;
  for await (const sample of samples) {
    for (const { session } of isFirst ? sessions : []) {
      // What is wrong with it is told by the run that counts.
      await session.run(tensorsOf(sample)).catch(() => undefined);
    }
    isFirst = false;
    yield sample;
  }
}

/** Compares the outputs of two models on random samples, or on those of a JSON file. */
export async function compareOnnx(
  { original, small }: Pair<Files>,
  given: Blob | undefined,
  onProgress: (fraction: number) => void,
): Promise<OutputsComparison> {
  const { module, sessions } = watch();
  const random = new RandomSamples(given ? 0 : await smallestTable(original), sessions, onProgress);
  const inputs = warmedUp(given ? await readSamples(given) : random, sessions);
  const { samples, outputs, skipped } = await verify(original, small, { ort: module, inputs });
  const [was, is] = sessions.map(({ milliseconds }) => milliseconds / samples);
  return {
    ...{ samples, outputs },
    inputs: given ? [] : random.descriptions,
    skipped: skipped.map(({ name, reason }) => `The output “${name}” ${reason}.`),
    milliseconds: { original: was!, small: is! },
  };
}
