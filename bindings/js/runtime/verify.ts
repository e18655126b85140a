/** verify: runs two models side by side. */
import { ArgumentError } from "../base/errors.js";
import { checkKeys, checkObject } from "../base/options.js";
import type { AbortSignal } from "../base/platform-types.js";
import type { Source } from "../files/source.js";
import {
  bytesOf,
  checkOrt,
  checkSamples,
  floatsOf,
  labelOf,
  Session,
  type Metric,
  type OrtModule,
  type OrtTensor,
  type Samples,
} from "./session.js";

/** The options of {@link verify}. */
export interface VerifyOptions {
  /** The onnxruntime that runs both models. */
  ort: OrtModule;
  /** The samples to run; other ones than those that calibrated. */
  inputs: Samples;
  /** A figure of quality, higher is better, beside the outputs: accuracy, say. */
  metric?: Metric;
  /** Ends the work when it is aborted: the promise rejects with its reason. */
  signal?: AbortSignal;
}

/** The distance between an output of two models, over all samples. */
export interface OutputComparison {
  /** The name of the output. */
  name: string;
  /** The signal to noise ratio in dB; Infinity when nothing differs. */
  sqnr: number;
  /** The cosine of the angle between both outputs, −1 to 1. */
  cosine: number;
  /** The largest difference of an element. */
  maxAbsError: number;
  /**
   * The number of values that are NaN or infinite in one model and not the same in the other; left out when none
   * is. The SQNR is then -Infinity and the cosine 0. Such values that are the same in both count as 0.
   */
  nonFinite?: number;
  /** The fraction of rows (along the last axis) whose largest value is the same one; left out for single values. */
  top1Agreement?: number;
}

/** A metric's figures for two models. */
export interface MetricComparison {
  /** The original's figure. */
  original: number;
  /** The other model's figure. */
  shrunk: number;
  /** The difference original − shrunk. */
  drop: number;
}

/** The result of {@link verify}. */
export interface Verification {
  /** The number of samples that were run. */
  samples: number;
  /** All outputs, in the original's order. */
  outputs: OutputComparison[];
  /** The output of the lowest cosine. */
  worst: OutputComparison;
  /** The figures of the metric; only when there is one. */
  metric?: MetricComparison;
}

/** The sums of one output over all samples, in float64. */
class OutputSums {
  #xx = 0;
  #yy = 0;
  #xy = 0;
  #ee = 0;
  #max = 0;
  #nonFinite = 0;
  #rows = 0;
  #agreeing = 0;

  add(x: Float32Array, y: Float32Array, rowLength: number): void {
    for (const [i, a] of x.entries()) {
      const b = y[i]!;
      if (!Number.isFinite(a) || !Number.isFinite(b)) {
        this.#nonFinite += Object.is(a, b) ? 0 : 1;
        continue;
      }
      this.#xx += a * a;
      this.#yy += b * b;
      this.#xy += a * b;
      this.#ee += (a - b) ** 2;
      this.#max = Math.max(this.#max, Math.abs(a - b));
    }
    if (rowLength < 2) return;
    for (let start = 0; start < x.length; start += rowLength) {
      const best = (values: Float32Array) => {
        const row = values.subarray(start, start + rowLength);
        return row.indexOf(row.reduce((largest, value) => Math.max(largest, value), -Infinity));
      };
      this.#rows++;
      this.#agreeing += best(x) === best(y) ? 1 : 0;
    }
  }

  result(name: string): OutputComparison {
    const agreement = this.#rows > 0 ? { top1Agreement: this.#agreeing / this.#rows } : {};
    if (this.#nonFinite > 0) {
      const harm = { sqnr: -Infinity, cosine: 0, maxAbsError: Infinity };
      return { name, ...harm, nonFinite: this.#nonFinite, ...agreement };
    }
    const norm = Math.sqrt(this.#xx * this.#yy);
    const areZero = this.#xx === 0 && this.#yy === 0;
    return {
      name,
      sqnr: this.#ee === 0 ? Infinity : 10 * Math.log10(this.#xx / this.#ee),
      cosine: norm > 0 ? this.#xy / norm : areZero ? 1 : 0,
      maxAbsError: this.#max,
      ...agreement,
    };
  }
}

function addOutputs(
  sums: Map<string, OutputSums>,
  original: Record<string, OrtTensor>,
  shrunk: Record<string, OrtTensor>,
): void {
  for (const [name, of] of sums) {
    const a = original[name]!;
    const b = shrunk[name]!;
    const [x, y] = [floatsOf(name, a), floatsOf(name, b)];
    if (x.length !== y.length) {
      throw new ArgumentError(
        `The output "${name}" has ${x.length} elements in the original and ${y.length} in the other.`,
      );
    }
    of.add(x, y, a.dims.at(-1) ?? 1);
  }
}

/**
 * Runs both models on the samples, and says how far the outputs of `shrunk` are from those of `original`. Both must
 * be ONNX models of one file.
 *
 * @throws ArgumentError for a wrong option or sample, or outputs that differ in size; UnsupportedError or a
 *   ModelShrinkError of code "unsupported" for what onnxruntime cannot load.
 */
export async function verify(
  original: Source,
  shrunk: Source,
  options: VerifyOptions,
): Promise<Verification> {
  const given = checkObject("options", options);
  checkKeys("options", given, ["ort", "inputs", "metric", "signal"]);
  const ort = checkOrt(given.ort);
  const samples = checkSamples(given.inputs);
  const { metric, signal } = options;
  const a = await Session.open(ort, await bytesOf(original, signal), "the original model");
  const b = await Session.open(ort, await bytesOf(shrunk, signal), "the shrunken model").catch(
    async (error: unknown) => {
      await a.close();
      throw error;
    },
  );
  try {
    const missing = a.outputNames.find((name) => !b.outputNames.includes(name));
    if (missing !== undefined) {
      throw new ArgumentError(`The second model has no output "${missing}" as the first one has.`);
    }
    const sums = new Map(a.outputNames.map((name) => [name, new OutputSums()]));
    let count = 0;
    for await (const sample of samples) {
      signal?.throwIfAborted();
      const label = labelOf(count++);
      addOutputs(sums, await a.run(sample, label), await b.run(sample, label));
    }
    if (count === 0) throw new ArgumentError("inputs has no samples.");
    const outputs = [...sums].map(([name, of]) => of.result(name));
    const worst = outputs.reduce((low, it) => (it.cosine < low.cosine ? it : low));
    if (!metric) return { samples: count, outputs, worst };
    const [before, after] = [
      await metric((feeds) => a.run(feeds, "what the metric runs")),
      await metric((feeds) => b.run(feeds, "what the metric runs")),
    ];
    const figures = { original: before, shrunk: after, drop: before - after };
    return { samples: count, outputs, worst, metric: figures };
  } finally {
    await a.close();
    await b.close();
  }
}
