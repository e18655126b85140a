/** verify: runs two models side by side. */
import { behindDoor, callUser } from "../base/door.js";
import { ArgumentError } from "../base/errors.js";
import { checkFunction, show } from "../base/options.js";
import { attend } from "../files/open.js";
import type { ReadOptions } from "../files/raw.js";
import type { Source } from "../files/source.js";
import { checkRunOptions, readingOf, readKeys } from "../models/options.js";
import type { AnySource } from "../models/write.js";
import { modelFilesOf } from "./model-files.js";
import { OutputSums, type OutputComparison } from "./output-sums.js";
import {
  checkOrt,
  checkSamples,
  checkSessionOptions,
  floatsOf,
  labelOf,
  Session,
  type Feeds,
  type Metric,
  type OrtModule,
  type OrtTensor,
  type Samples,
  type SessionOptions,
} from "./session.js";

/** The options of {@link verify}. */
export interface VerifyOptions extends ReadOptions {
  /** The onnxruntime that runs both models. */
  ort: OrtModule;
  /** The samples to run; other ones than those that calibrated. */
  inputs: Samples;
  /** The names of the outputs to compare; by default all. */
  outputs?: readonly string[];
  /** A figure of quality, higher is better, beside the outputs: accuracy, say. */
  metric?: Metric;
  /** Options of both sessions, such as `executionProviders`; by default onnxruntime's own. */
  session?: SessionOptions;
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

/** An output that could not be compared. */
export interface SkippedOutput {
  /** The output's name. */
  name: string;
  /** The reason, for people: it is of texts, is no tensor, or has another length in the other model. */
  reason: string;
}

/** The result of {@link verify}. */
export interface Verification {
  /** The number of samples that were run. */
  samples: number;
  /** The outputs that were compared, in the original's order. */
  outputs: OutputComparison[];
  /** The outputs that were asked for and not compared. */
  skipped: SkippedOutput[];
  /** The output of the lowest cosine. */
  worst: OutputComparison;
  /** The figures of the metric; only when there is one. */
  metric?: MetricComparison;
}

/** The outputs that are compared, and those that turn out not to be comparable. */
class Comparison {
  readonly skipped: SkippedOutput[] = [];
  readonly #sums: Map<string, OutputSums>;

  constructor(names: readonly string[], sessions: readonly Session[]) {
    this.#sums = new Map(names.map((name) => [name, new OutputSums()]));
    for (const name of names) {
      const reasons = sessions.map((session) => session.unreadable(name));
      const reason = reasons.find((it) => it !== undefined);
      if (reason !== undefined) this.#skip(name, reason);
    }
  }

  /** The names of the outputs that are still compared. Throws an ArgumentError when there is none. */
  get names(): string[] {
    if (this.#sums.size > 0) return [...this.#sums.keys()];
    const reasons = this.skipped.map(({ name, reason }) => `"${name}" ${reason}`);
    throw new ArgumentError(`No output can be compared: ${reasons.join("; ")}.`);
  }

  add(original: Record<string, OrtTensor>, shrunk: Record<string, OrtTensor>, label: string): void {
    for (const [name, sums] of this.#sums) {
      const [a, b] = [original[name]!, shrunk[name]!];
      if (a.type === "string" || b.type === "string") {
        this.#skip(name, "is of texts");
        continue;
      }
      const [x, y] = [floatsOf(name, a), floatsOf(name, b)];
      if (x.length === y.length) {
        sums.add(x, y, a.dims.at(-1) ?? 1);
      } else {
        const lengths = `${x.length} elements in the original and ${y.length} in the other`;
        this.#skip(name, `has ${lengths} (${label})`);
      }
    }
  }

  results(): OutputComparison[] {
    return this.names.map((name) => this.#sums.get(name)!.result(name));
  }

  #skip(name: string, reason: string): void {
    this.#sums.delete(name);
    this.skipped.push({ name, reason });
  }
}

/** Gives the names of the outputs to compare, which both models must have. */
function checkOutputs(value: unknown, a: Session, b: Session): readonly string[] {
  const given = value ?? a.outputNames;
  if (!Array.isArray(given) || given.length === 0) {
    throw new ArgumentError(`outputs is ${show(value)}; it must be a list of outputs' names.`);
  }
  const names = [...new Set(given as readonly unknown[])];
  const unknown = names.find((name) => !a.outputNames.includes(name as string));
  if (unknown !== undefined) {
    throw new ArgumentError(
      `outputs has ${show(unknown)}; the model's outputs are ${a.outputNames.join(", ")}.`,
    );
  }
  const missing = (names as string[]).find((name) => !b.outputNames.includes(name));
  if (missing !== undefined) {
    throw new ArgumentError(`The second model has no output "${missing}" as the first one has.`);
  }
  return names as string[];
}

/** The most bytes of the original's outputs that are held for the next comparison. */
const maxHeldBytes = 2 ** 28;

/** Loads a model, whose name in errors is `what`. */
type Open = (source: AnySource, what: string) => Promise<Session>;

/** The original of one or more comparisons: its session stays open, and what it gave is not computed twice. */
export class Original {
  readonly #session: Session;
  readonly #open: Open;
  readonly #options: VerifyOptions;
  readonly #held = new Map<number, Record<string, OrtTensor>>();
  #heldBytes = 0;
  #metric: number | undefined;

  private constructor(session: Session, open: Open, options: VerifyOptions) {
    this.#session = session;
    this.#open = open;
    this.#options = options;
  }

  /** Loads the original. Throws the errors of `verify`. */
  static async open(source: AnySource, options: VerifyOptions): Promise<Original> {
    const keys = ["ort", "inputs", "outputs", "metric", "session", ...readKeys];
    const given = checkRunOptions(options, keys);
    const ort = checkOrt(given.ort);
    const inputs = checkSamples(given.inputs);
    const session = checkSessionOptions(given.session);
    checkFunction("metric", given.metric);
    const open: Open = async (model, what) =>
      Session.open(ort, await modelFilesOf(model, readingOf(options)), what, session);
    const original = await open(source, "the original model");
    return new Original(original, open, { ...options, inputs });
  }

  /** Runs the samples through another model. With `holds` the original's outputs are held for the next one. */
  async compare(shrunk: Source, { holds = false } = {}): Promise<Verification> {
    const other = await this.#open(shrunk, "the shrunken model");
    try {
      return await this.#compare(other, holds);
    } finally {
      await other.close();
    }
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  async #compare(other: Session, holds: boolean): Promise<Verification> {
    const { signal, metric, outputs: wanted, inputs } = this.#options;
    const names = checkOutputs(wanted, this.#session, other);
    const comparison = new Comparison(names, [this.#session, other]);
    let count = 0;
    for await (const sample of inputs) {
      signal?.throwIfAborted();
      const label = labelOf(count, sample);
      const { names: compared } = comparison;
      const own = this.#held.get(count) ?? (await this.#session.run(sample, label, compared));
      if (holds) this.#hold(count, own);
      comparison.add(own, await other.run(sample, label, compared), label);
      count++;
    }
    if (count === 0) throw new ArgumentError("inputs has no samples.");
    const outputs = comparison.results();
    const worst = outputs.reduce((low, it) => (it.cosine < low.cosine ? it : low));
    const { skipped } = comparison;
    return {
      ...{ samples: count, outputs, skipped, worst },
      ...(metric ? { metric: await this.#measured(metric, other) } : {}),
    };
  }

  #hold(number: number, outputs: Record<string, OrtTensor>): void {
    if (this.#held.has(number)) return;
    const sizes = Object.values(outputs).map(({ data }) => (data as Uint8Array).byteLength);
    this.#heldBytes += sizes.reduce((all, size) => all + size, 0);
    // NaN, of texts, holds nothing either.
    if (this.#heldBytes <= maxHeldBytes) this.#held.set(number, outputs);
  }

  async #measured(metric: Metric, other: Session): Promise<MetricComparison> {
    const run = (session: Session) => (feeds: Feeds) => session.run(feeds, "what the metric runs");
    const original = (this.#metric ??= await callUser(() => metric(run(this.#session))));
    const shrunk = await callUser(() => metric(run(other)));
    return { original, shrunk, drop: original - shrunk };
  }
}

/**
 * Runs both ONNX models on the samples, and says how far the outputs of `shrunk` are from those of `original`. Models
 * may have external data; onnxruntime gets the files of the two sources and reads no others. Outputs of texts, of
 * sequences, and of another length in the other model are skipped.
 *
 * @throws ArgumentError for a wrong option or sample, or when no output can be compared; UnsupportedError or a
 *   ModelShrinkError of code "unsupported" for what onnxruntime cannot load.
 */
export async function verify(
  original: Source,
  shrunk: Source,
  options: VerifyOptions,
): Promise<Verification> {
  return behindDoor(options, async () => {
    attend(shrunk);
    const opened = await Original.open(original, options);
    try {
      return await opened.compare(shrunk);
    } finally {
      await opened.close();
    }
  });
}
