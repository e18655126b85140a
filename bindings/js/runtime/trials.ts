/** The search for the least that a guard has to give up. */
import { elementsOf } from "../base/shape.js";
import type { QuantizedType } from "../arrays/types.js";
import type { CheckedRecipe } from "../recipe/check.js";
import type { MatchingRule } from "../recipe/rules.js";
import type { ReportedTensor, WriteResult } from "../models/types.js";
import type { Verification } from "./verify.js";

/** The way in which a tensor is spared: stored in more bits than the recipe says, or kept as it was. */
export type Level = "finer" | "kept";

/** The tensors that are spared, by name. */
export type Levels = ReadonlyMap<string, Level>;

/** One model that was tried: what was spared, the recipe that did so, and whether the guard held. */
export interface Trial {
  levels: Levels;
  recipe: CheckedRecipe;
  result: WriteResult;
  verification: Verification;
  ok: boolean;
}

/** The type of 8 bits that stands for one of 4 bits. */
const finerTypes: Readonly<Record<string, QuantizedType>> = { int4: "int8", uint4: "uint8" };

/** Tells whether a recipe gives 4 bits to the tensor of this name. */
function hasFiner({ rules, weights }: CheckedRecipe, name: string): boolean {
  const rule = rules.find(({ matches }) => matches(name));
  return finerTypes[rule?.weights ?? weights ?? ""] !== undefined;
}

/** Gives a recipe in which these tensors are spared. Whatever else the recipe says of them still holds. */
export function withLevels(recipe: CheckedRecipe, levels: Levels): CheckedRecipe {
  const plain: MatchingRule = {
    ...{ match: undefined, keeps: false, weights: undefined, target: undefined },
    prune: undefined,
    matches: (name) => !recipe.rules.some(({ matches }) => matches(name)),
  };
  const kept: MatchingRule = {
    ...plain,
    keeps: true,
    matches: (name) => levels.get(name) === "kept",
  };
  const finer = [...recipe.rules, plain].flatMap((rule): MatchingRule[] => {
    const weights = finerTypes[rule.weights ?? recipe.weights ?? ""];
    if (weights === undefined) return [];
    const matches = (name: string) => levels.get(name) === "finer" && rule.matches(name);
    return [{ ...rule, match: undefined, keeps: false, weights, matches }];
  });
  return { ...recipe, rules: [kept, ...finer, ...recipe.rules] };
}

/**
 * Gives the harm done to a tensor: the noise as a fraction of the signal's power, 0 for none. One that lost channels
 * counts as if all its weights were of one size.
 */
function harmOf({ sqnr = Infinity, shape, outputShape }: ReportedTensor): number {
  const removed = 1 - elementsOf(outputShape) / elementsOf(shape);
  const noise = 10 ** (-sqnr / 10);
  // Biases follow their weights.
  return shape.length < 2 ? noise : Math.max(noise, removed);
}

/** More trials than this are not worth what they find. */
const maxAttempts = 40;
/** What saves less than this part of the output is not tried. */
const minSaving = 0.02;

type Attempt = (levels: Levels) => Promise<Trial>;

const withLevel = (levels: Levels, names: readonly string[], level: Level): Levels =>
  new Map([...levels, ...names.map((name) => [name, level] as const)]);

/** Gives the tensors of a trial that a level would spare: those first that do the most harm for their bytes. */
function candidatesFor(level: Level, { result, recipe }: Trial): string[] {
  const worth = (it: ReportedTensor) => harmOf(it) / Math.max(1, it.outputBytes);
  return result.report.tensors
    .filter((it) => harmOf(it) > 0 && (level === "kept" || hasFiner(recipe, it.name)))
    .sort((a, b) => worth(b) - worth(a))
    .map(({ name }) => name);
}

/** Finds by halving how many of the first `names` have to be spared, when all of them, which `all` tried, suffice. */
async function fewest(
  attempt: Attempt,
  from: Levels,
  names: readonly string[],
  level: Level,
  all: Trial | undefined,
): Promise<Trial> {
  let best = all;
  let low = 0;
  let high = names.length;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const trial = await attempt(withLevel(from, names.slice(0, middle), level));
    if (trial.ok) {
      best = trial;
      high = middle;
    } else {
      low = middle;
    }
  }
  return best ?? attempt(withLevel(from, names, level));
}

interface TakingBack {
  /** Gives the bytes of a tensor that is spared in a way, or not. */
  bytes: (name: string, level?: Level) => number;
  /** The tensors that 8 bits would spare. */
  finer: ReadonlySet<string>;
  attempts: () => number;
}

/** Undoes in groups that become smaller what was not needed, the most bytes first. */
async function takenBack(
  attempt: Attempt,
  found: Trial,
  level: Level,
  { bytes, finer, attempts }: TakingBack,
): Promise<Trial> {
  let best = found;
  const below = (name: string): Level | undefined =>
    level === "kept" && finer.has(name) ? "finer" : undefined;
  const savingOf = (name: string) => bytes(name, level) - bytes(name, below(name));
  const names = [...best.levels].filter(([, it]) => it === level).map(([name]) => name);
  names.sort((a, b) => savingOf(b) - savingOf(a));
  for (let size = Math.ceil(names.length / 2); names.length > 1; size = Math.ceil(size / 2)) {
    for (let at = 0; at < names.length && attempts() < maxAttempts;) {
      const group = names.slice(at, at + size);
      const saving = group.reduce((all, name) => all + savingOf(name), 0);
      // The next ones save less.
      if (saving < minSaving * best.result.report.outputBytes) break;
      const levels = new Map(best.levels);
      for (const name of group) {
        const next = below(name);
        if (next) levels.set(name, next);
        else levels.delete(name);
      }
      const trial = await attempt(levels);
      if (trial.ok) {
        best = trial;
        names.splice(at, size);
      } else {
        at += size;
      }
    }
    if (size === 1) break;
  }
  return best;
}

/**
 * Finds what to spare so that the guard holds: nothing, or else the fewest tensors in 8 bits, or else all of those and
 * the fewest as they were. Then takes back what is not needed. Gives the last trial that held, or one that keeps
 * everything when none did.
 */
export async function leastHarm(attempt: Attempt, attempts: () => number): Promise<Trial> {
  const first = await attempt(new Map());
  if (first.ok) return first;
  const sizes = (trial: Trial) =>
    new Map(trial.result.report.tensors.map((it) => [it.name, it.outputBytes]));
  const plainBytes = sizes(first);
  const floatBytes = new Map(first.result.report.tensors.map((it) => [it.name, it.inputBytes]));
  let finerBytes = plainBytes;
  let best = first;
  const finer = candidatesFor("finer", first);
  if (finer.length > 0) {
    best = await attempt(withLevel(new Map(), finer, "finer"));
    finerBytes = sizes(best);
  }
  best = best.ok
    ? await fewest(attempt, new Map(), finer, "finer", best)
    : await fewest(attempt, best.levels, candidatesFor("kept", best), "kept", undefined);
  const bytes = (name: string, level?: Level) =>
    (level === "kept" ? floatBytes : level ? finerBytes : plainBytes).get(name) ?? 0;
  const taking = { bytes, finer: new Set(finer), attempts };
  for (const level of ["kept", "finer"] as const) {
    if (best.ok) best = await takenBack(attempt, best, level, taking);
  }
  return best;
}
