/** The guard: shrinks less where the whole recipe would do too much harm. */
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import { explain, hasReason } from "../recipe/reasons.js";
import { reusable } from "../files/open.js";
import type { Source } from "../files/source.js";
import { withTarget } from "../files/with-target.js";
import type { CheckedRecipe } from "../recipe/check.js";
import { isChanged } from "../models/changes.js";
import { checkRunOptions, readKeys } from "../models/inspect.js";
import type { WriteOptions, WriteResult } from "../models/types.js";
import { shrinkModel } from "../models/write.js";
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
function checkGuard(value: unknown): Guard {
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
  // What the guard does not say of reading holds as for the rest of the work.
  const { signal = options.signal, timeoutMs = options.timeoutMs, ...given } = checkGuard(value);
  const reading = { signal, timeoutMs };
  return withTarget(options.sink, options.resume ?? false, async () =>
    tryUntilItHolds(await reusable(source, reading), recipe, { ...given, ...reading }, options),
  );
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
  source: Source,
  recipe: CheckedRecipe,
  guard: Guard,
  options: WriteOptions,
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
  const original = await Original.open(source, verifyOptions);
  try {
    const best = await leastHarm(
      async (levels) => {
        attempts++;
        const tried = withLevels(recipe, levels);
        const result = await shrinkModel(source, tried, rest);
        const verification = await original.compare(result.files, { holds: true });
        options.signal?.throwIfAborted();
        return { levels, recipe: tried, result, verification, ok: holds(guard, verification) };
      },
      () => attempts,
    );
    const result =
      options.sink === undefined && !options.skipIdle
        ? best.result
        : await shrinkModel(source, best.recipe, options);
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
