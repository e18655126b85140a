/** The guard: shrinks less where the whole recipe would do too much harm. */
import { ArgumentError } from "../base/errors.js";
import { checkKeys, checkObject, show } from "../base/options.js";
import { explain, hasReason } from "../recipe/reasons.js";
import { elementsOf } from "../base/shape.js";
import { reusable } from "../files/open.js";
import type { Source } from "../files/source.js";
import { withTarget } from "../files/user-sink.js";
import type { CheckedRecipe } from "../recipe/check.js";
import { isChanged } from "../models/changes.js";
import type { ReportedTensor, WriteOptions, WriteResult } from "../models/types.js";
import { shrinkModel } from "../models/write.js";
import { checkSamples, type Feeds } from "./session.js";
import { type Verification, verify, type VerifyOptions } from "./verify.js";

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
  /** The number of models that were tried. */
  attempts: number;
}

/** Gives a user's guard when it is one; throws an ArgumentError otherwise. */
function checkGuard(value: unknown): Guard {
  const guard = checkObject("guard", value);
  checkKeys("guard", guard, [
    ...["minCosine", "maxDrop", "ort", "inputs", "outputs", "metric", "session", "signal"],
  ]);
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
 * Gives the harm of a tensor as a SQNR in dB; Infinity means none. One that lost channels counts as if all its
 * weights were of one size.
 */
function qualityOf({ sqnr = Infinity, shape, outputShape }: ReportedTensor): number {
  const removed = 1 - elementsOf(outputShape) / elementsOf(shape);
  // Biases follow their weights.
  return removed === 0 || shape.length < 2 ? sqnr : Math.min(sqnr, -10 * Math.log10(removed));
}

/** Gives a recipe that keeps some tensors as they are. */
function keeping(recipe: CheckedRecipe, kept: readonly string[]): CheckedRecipe {
  const rules = kept.map((name) => ({
    ...{ match: name, keeps: true, weights: undefined, prune: undefined },
    matches: (other: string) => other === name,
  }));
  return { ...recipe, rules: [...rules, ...recipe.rules] };
}

/** More trials than this are not worth what they find. */
const maxAttempts = 40;

/**
 * Keeps tensors as they were, those of the largest relative error first, until the guard holds: how many is
 * found by halving. Then takes back what it does not need, in groups that become smaller, as far as
 * `maxAttempts` reaches. Models are held in memory meanwhile.
 */
export async function shrinkGuarded(
  source: Source,
  recipe: CheckedRecipe,
  value: Guard,
  options: WriteOptions,
): Promise<WriteResult & { guard: GuardOutcome }> {
  const { signal = options.signal, ...given } = checkGuard(value);
  const guard = signal ? { ...given, signal } : given;
  return withTarget(options.sink, options.resume ?? false, async () =>
    tryUntilItHolds(await reusable(source, signal), recipe, guard, options),
  );
}

/** One model that was tried: which tensors were kept, the recipe that kept them, and whether the guard held. */
interface Trial {
  kept: readonly string[];
  recipe: CheckedRecipe;
  result: WriteResult;
  verification: Verification;
  ok: boolean;
}

/**
 * Finds the fewest tensors to keep by halving, then takes back those that need not be kept. Gives the last trial that
 * held, or one that keeps everything when none did.
 */
async function leastHarm(
  attempt: (kept: readonly string[]) => Promise<Trial>,
  attemptsSoFar: () => number,
): Promise<Trial> {
  let best = await attempt([]);
  if (!best.ok) {
    const changed = best.result.report.tensors.filter((it) => qualityOf(it) !== Infinity);
    const byHarm = changed.sort((a, b) => qualityOf(a) - qualityOf(b)).map(({ name }) => name);
    let low = 0;
    let high = byHarm.length;
    best = await attempt(byHarm);
    while (best.ok && high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      const trial = await attempt(byHarm.slice(0, middle));
      if (trial.ok) {
        best = trial;
        high = middle;
      } else {
        low = middle;
      }
    }
  }
  for (let size = best.kept.length; best.ok && size > 1;) {
    size = Math.ceil(size / 2);
    for (let at = 0; at < best.kept.length && attemptsSoFar() < maxAttempts;) {
      const end = at + size;
      const trial = await attempt(best.kept.filter((_, i) => i < at || i >= end));
      if (trial.ok) best = trial;
      else at = end;
    }
  }
  return best;
}

/** Says in the report what the guard gave up. */
function remark({ report }: WriteResult, { kept, ok }: Trial, attempts: number): void {
  for (const tensor of report.tensors) {
    if (kept.includes(tensor.name) && hasReason(tensor, "keptByRule")) {
      explain(tensor, { code: "keptByGuard" });
    }
  }
  if (ok && kept.length > 0 && !report.tensors.some(isChanged)) {
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
  const attempt = async (kept: readonly string[]): Promise<Trial> => {
    attempts++;
    const tried = keeping(recipe, kept);
    const result = await shrinkModel(source, tried, rest);
    const verification = await verify(source, result.files, verifyOptions);
    options.signal?.throwIfAborted();
    return { kept, recipe: tried, result, verification, ok: holds(guard, verification) };
  };
  const best = await leastHarm(attempt, () => attempts);
  const result =
    options.sink === undefined ? best.result : await shrinkModel(source, best.recipe, options);
  const outcome: GuardOutcome = {
    verification: best.verification,
    keptTensors: [...best.kept],
    attempts,
  };
  remark(result, best, attempts);
  return { ...result, guard: outcome };
}
