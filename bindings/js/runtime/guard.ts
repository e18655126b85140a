/** The guard: shrinks less where the whole recipe would do too much harm. */
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import { explain, hasReason } from "../recipe/reasons.js";
import { reusable } from "../files/open.js";
import type { Source } from "../files/source.js";
import { withTarget } from "../files/with-target.js";
import type { CheckedRecipe } from "../recipe/check.js";
import { isChanged } from "../models/changes.js";
import { checkRunOptions, readKeys } from "../models/options.js";
import type { WriteOptions, WriteResult } from "../models/types.js";
import { shrinkModel, type AnySource, type OwnOutput } from "../models/write.js";
import { checkSamples, type Feeds } from "./session.js";
import { leastHarm, withLevels, type Level, type Trial } from "./trials.js";
import { Original, type Verification, type VerifyOptions } from "./verify.js";

/**
 * A bound on the harm that shrinking may do: `minCosine`, `maxDrop` or both. The model runs in the user's
 * onnxruntime.
 */
export interface Guard extends VerifyOptions {
  /** The lowest cosine that an output may have with the original's, at most 1. */
  minCosine?: number;
  /** The most by which `metric` may drop; needs `metric`. */
  maxDrop?: number;
}

/** The outcome of a guard. */
export interface GuardOutcome {
  /** The comparison of the model that was written with the original. */
  verification: Verification;
  /** The names of the tensors that were given up: they stay as they were. */
  keptTensors: string[];
  /** The names of the tensors that have 8 bits where the recipe says 4. */
  finerTensors: string[];
  /** The number of models that were tried. */
  attempts: number;
}

/** Gives a user's guard when it is one; throws an ArgumentError otherwise. */
export function checkGuard(value: unknown): Guard {
  const keys = ["minCosine", "maxDrop", "ort", "inputs", "outputs", "metric", "session"];
  const guard = checkRunOptions(value, [...keys, ...readKeys], "guard");
  if (guard.minCosine === undefined && guard.maxDrop === undefined) {
    throw new ArgumentError("guard needs minCosine or maxDrop.");
  }
  for (const key of ["minCosine", "maxDrop"]) {
    if (guard[key] !== undefined && (typeof guard[key] !== "number" || Number.isNaN(guard[key]))) {
      throw new ArgumentError(`guard.${key} is ${show(guard[key])}; it must be a number.`);
    }
  }
  if (typeof guard.minCosine === "number" && guard.minCosine > 1) {
    throw new ArgumentError(`guard.minCosine is ${guard.minCosine}; no cosine is above 1.`);
  }
  checkSamples(guard.inputs);
  if (guard.maxDrop !== undefined && typeof guard.metric !== "function") {
    throw new ArgumentError(
      "guard.maxDrop needs a metric: a function that gives a figure of quality.",
    );
  }
  return guard as unknown as Guard;
}

function holds({ minCosine, maxDrop }: Guard, { worst, metric }: Verification): boolean {
  return (
    (minCosine === undefined || worst.cosine >= minCosine) &&
    (maxDrop === undefined || (metric !== undefined && metric.drop <= maxDrop))
  );
}

/**
 * Stores tensors finer until the guard holds: first in 8 bits where the recipe says 4, then as they were; those first
 * that harm the most for their bytes. How many is found by halving. Then takes back what is not needed. Models are held
 * in memory meanwhile.
 */
export async function shrinkGuarded(
  source: Source,
  recipe: CheckedRecipe,
  value: Guard,
  options: WriteOptions,
): Promise<WriteResult & { guard: GuardOutcome }> {
  const guard = withReading(value, options);
  return withTarget(options.sink, options.resume ?? false, async () => {
    const read = await reusable(source, { signal: guard.signal, timeoutMs: guard.timeoutMs });
    return tryUntilItHolds(() => Promise.resolve(read), recipe, guard, options);
  });
}

/** The same for a model whose output modelshrink wants in a place of its own; `open` gives its source for each trial. */
export const writeGuarded = (
  open: () => Promise<AnySource>,
  recipe: CheckedRecipe,
  value: Guard,
  options: WriteOptions,
  output: OwnOutput,
): Promise<WriteResult & { guard: GuardOutcome }> =>
  tryUntilItHolds(open, recipe, withReading(value, options), options, output);

/** What the guard does not say of reading holds as for the rest of the work. */
function withReading(value: Guard, options: WriteOptions): Guard {
  const { signal = options.signal, timeoutMs = options.timeoutMs, ...given } = checkGuard(value);
  return { ...given, signal, timeoutMs };
}

/** Says in the report what the guard gave up. */
function remark({ report }: WriteResult, { levels, ok }: Trial, attempts: number): void {
  for (const tensor of report.tensors) {
    const level = levels.get(tensor.name);
    if (level === "kept" && hasReason(tensor, "keptByRule")) {
      explain(tensor, { code: "keptByGuard" });
    } else if (level === "finer" && !tensor.reasons) explain(tensor, { code: "finerByGuard" });
  }
  if (ok && levels.size > 0 && !report.tensors.some(isChanged)) {
    report.warnings = [
      `In ${attempts} trials the guard held only with every weight as it was: nothing is changed.`,
    ];
  }
  if (!ok) {
    (report.warnings ??= []).push(
      "The guard does not hold even with every weight as it was: look at its inputs and bounds.",
    );
  }
}

async function tryUntilItHolds(
  open: () => Promise<AnySource>,
  recipe: CheckedRecipe,
  guard: Guard,
  options: WriteOptions,
  output?: OwnOutput,
): Promise<WriteResult & { guard: GuardOutcome }> {
  // A one-time list of samples would be empty at the second trial.
  const inputs: Feeds[] = [];
  for await (const sample of guard.inputs) inputs.push(sample);
  const verifyOptions: VerifyOptions = { ...guard, inputs };
  for (const key of ["minCosine", "maxDrop"]) Reflect.deleteProperty(verifyOptions, key);
  const rest: WriteOptions = { ...options };
  delete rest.sink;
  delete rest.resume;
  delete rest.skipIdle;
  let attempts = 0;
  // Trials are in memory.
  const tried = output && { ...output };
  delete tried?.target;
  const original = await Original.open(await open(), verifyOptions);
  try {
    const best = await leastHarm(
      async (levels) => {
        attempts++;
        const own = withLevels(recipe, levels);
        const result = await shrinkModel(await open(), own, rest, tried);
        const verification = await original.compare(result.files, { holds: true });
        options.signal?.throwIfAborted();
        return { levels, recipe: own, result, verification, ok: holds(guard, verification) };
      },
      () => attempts,
    );
    const isWritten = options.sink !== undefined || options.skipIdle || output?.target;
    const result = isWritten
      ? await shrinkModel(await open(), best.recipe, options, output)
      : best.result;
    const namesAt = (wanted: Level) =>
      [...best.levels].filter(([, level]) => level === wanted).map(([name]) => name);
    const outcome: GuardOutcome = {
      verification: best.verification,
      keptTensors: namesAt("kept"),
      finerTensors: namesAt("finer"),
      attempts,
    };
    remark(result, best, attempts);
    return { ...result, guard: outcome };
  } finally {
    await original.close();
  }
}
