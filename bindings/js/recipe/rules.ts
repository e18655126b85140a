/** The rules of a recipe: exceptions by tensor name. */
import { ArgumentError } from "../base/errors.js";
import { checkKeys, checkObject, optional, show } from "../base/options.js";
import type { QuantizedType } from "../arrays/types.js";
import type { CoreRateTarget } from "../core/types.js";
import type { Matcher } from "./patterns.js";
import { checkPruning, type CheckedPruning } from "./pruning.js";
import { checkWeights } from "./targets.js";

const ruleKeys = ["match", "weights", "prune", "keep"] as const;

/** A rule and the names that it is for. */
export interface MatchingRule extends Omit<CheckedRule, "match"> {
  /** The pattern, as the recipe has it; undefined for rules that no user wrote. */
  match: string | undefined;
  /** Tells whether the rule is for the tensor of this name. */
  matches: Matcher;
}

/** A rule whose values are known to be right. */
export interface CheckedRule {
  /** The pattern, as the recipe has it. */
  match: string;
  keeps: boolean;
  /** Undefined means the recipe's type. */
  weights: QuantizedType | undefined;
  /** The target that its tensors share. */
  target: CoreRateTarget | undefined;
  prune: CheckedPruning | false | undefined;
}

function checkRule(value: unknown, i: number): CheckedRule {
  const where = `rules[${i}]`;
  const rule = checkObject(where, value);
  checkKeys(where, rule, ruleKeys);
  const { match } = rule;
  if (typeof match !== "string" || match === "") {
    throw new ArgumentError(`${where}.match is ${show(match)}; it must be a glob or "/regex/".`);
  }
  const changes = rule.weights !== undefined || rule.prune !== undefined;
  if (changes === (rule.keep !== undefined)) {
    throw new ArgumentError(`${where} must have either keep, or weights or prune or both.`);
  }
  if (rule.keep !== undefined && rule.keep !== true) {
    throw new ArgumentError(`${where}.keep is ${show(rule.keep)}; it must be true.`);
  }
  const weights = optional(rule.weights, (it) => checkWeights(`${where}.weights`, it));
  return {
    match,
    keeps: rule.keep === true,
    prune: optional(
      rule.prune,
      (prune) => prune !== false && checkPruning(`${where}.prune`, prune),
    ),
    weights: weights?.type,
    target: weights?.target,
  };
}

/** Checks the rules of a recipe; throws an ArgumentError that names the rule. */
export function checkRules(rules: unknown): CheckedRule[] {
  if (!Array.isArray(rules)) {
    throw new ArgumentError(`rules is ${show(rules)}; it must be an array.`);
  }
  return rules.map(checkRule);
}

/** Makes the matchers of checked rules. Throws an ArgumentError that names the rule whose pattern is wrong. */
export async function withMatchers(rules: readonly CheckedRule[]): Promise<MatchingRule[]> {
  if (rules.length === 0) return [];
  const { matcherFor } = await import("./patterns.js");
  return rules.map((rule, i) => ({
    ...rule,
    matches: matcherFor(rule.match, `rules[${i}].match`),
  }));
}
