/** The command line → what to do. Everything wrong with it is a UsageError. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { ModelShrinkError } from "../base/errors.js";
import { suggestion } from "../base/suggest.js";
import { ioError } from "../files/node/io-error.js";
import { checkRecipe } from "../recipe/check.js";
import { presetNamed, presets } from "../recipe/presets.js";
import type { PruneRecipe, Rule } from "../recipe/types.js";
import type { Recipe } from "../recipe/options.js";

export class UsageError extends Error {}

const recipeOptions = {
  recipe: { type: "string" },
  mode: { type: "string" },
  strip: { type: "boolean" },
  requantize: { type: "boolean" },
  "non-finite": { type: "string" },
  prune: { type: "string" },
  refit: { type: "boolean" },
  gptq: { type: "boolean" },
  sparse: { type: "boolean" },
  keep: { type: "string", multiple: true },
  rule: { type: "string", multiple: true },
} as const;
const writeOptions = {
  output: { type: "string", short: "o" },
  workers: { type: "string" },
  resume: { type: "boolean" },
} as const;
const runOptions = {
  inputs: { type: "string" },
  "min-cosine": { type: "string" },
} as const;
const commonOptions = {
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;
const allOptions = {
  ...recipeOptions,
  ...writeOptions,
  ...runOptions,
  ...commonOptions,
} as const;

type OptionName = keyof typeof allOptions;

const common = Object.keys(commonOptions) as OptionName[];
const forRecipes = Object.keys(recipeOptions) as OptionName[];
const forWriting = Object.keys(writeOptions) as OptionName[];

/** What each command takes. */
export const commands = {
  inspect: { operands: ["model"], options: common },
  plan: { operands: ["model"], options: [...forRecipes, "inputs", ...common] },
  shrink: {
    operands: ["model"],
    options: [...forRecipes, ...forWriting, "inputs", "min-cosine", ...common],
  },
  restore: { operands: ["model"], options: [...forWriting, ...common] },
  compare: { operands: ["original", "other"], options: common },
  verify: { operands: ["original", "other"], options: ["inputs", ...common] },
} as const satisfies Record<string, { operands: string[]; options: OptionName[] }>;

export type CommandName = keyof typeof commands;

export interface Arguments {
  command: CommandName;
  operands: string[];
  json: boolean;
  help: boolean;
  version: boolean;
  output?: string;
  recipe?: string;
  mode?: string;
  strip?: boolean;
  requantize?: boolean;
  "non-finite"?: string;
  resume?: boolean;
  prune?: string;
  refit?: boolean;
  gptq?: boolean;
  sparse?: boolean;
  inputs?: string;
  "min-cosine"?: string;
  workers?: string;
  keep: string[];
  rule: string[];
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commands, word);
}

function parse(command: CommandName, args: string[]) {
  const allowed: readonly OptionName[] = commands[command].options;
  const options = Object.fromEntries(
    Object.entries(allOptions).filter(([name]) => allowed.includes(name as OptionName)),
  ) as typeof allOptions;
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
    if (unknown === undefined) throw new UsageError(message.split(". ")[0]);
    const known = allowed.map((name) => `--${name}`);
    throw new UsageError(`"${command}" has no option ${unknown}.${suggestion(unknown, known)}`);
  }
}

/** `args` without "node" and the script; the command comes first. */
export function parseCommand([word = "", ...rest]: string[]): Arguments {
  if (!isCommand(word)) {
    throw new UsageError(
      word.startsWith("-")
        ? `The command comes first, then ${word}.`
        : `There is no command "${word}"; there are ${Object.keys(commands).join(", ")}.` +
            suggestion(word, Object.keys(commands)),
    );
  }
  const { values, positionals } = parse(word, rest);
  const { help = false, version = false, json = false, keep = [], rule = [], ...named } = values;
  const { operands } = commands[word];
  if (!help && !version && positionals.length !== operands.length) {
    const wanted = operands.map((name) => `<${name}>`).join(" ");
    const preset = positionals.find((it) => Object.hasOwn(presets, it));
    const hint = preset === undefined ? "" : ` A recipe is given as --recipe ${preset}.`;
    throw new UsageError(`"${word}" takes ${wanted}; ${positionals.length} given.${hint}`);
  }
  return { command: word, operands: positionals, json, help, version, keep, rule, ...named };
}

async function namedRecipe(name: string): Promise<unknown> {
  if (!/\.json$/i.test(name)) return presetNamed(name).recipe;
  let text;
  try {
    text = await readFile(name, "utf8");
  } catch (cause) {
    throw ioError("read", name, cause);
  }
  try {
    const recipe: unknown = JSON.parse(text);
    // A file that holds a preset's name means that preset.
    return typeof recipe === "string" ? presetNamed(recipe).recipe : recipe;
  } catch (cause) {
    if (cause instanceof ModelShrinkError) throw cause;
    throw new UsageError(`The recipe "${name}" is no JSON: ${String(cause)}`);
  }
}

const maxWorkers = 64;
const enoughWorkers = 4;

/** How many threads: what `--workers` says, or a few; one core is for the system's reads and writes. */
export function workersFrom({ workers }: Arguments): number {
  if (workers === undefined) {
    return Math.max(1, Math.min(availableParallelism() - 1, enoughWorkers));
  }
  if (/^\d+$/.test(workers) && Number(workers) <= maxWorkers) return Number(workers);
  throw new UsageError(`--workers is "${workers}"; it must be a number from 0 to ${maxWorkers}.`);
}

/** The bound of a guard, when there is one. */
export function minCosineFrom({ "min-cosine": text, inputs }: Arguments): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !(value >= -1 && value <= 1)) {
    throw new UsageError(`--min-cosine is "${text}"; it must be a number up to 1, such as 0.99.`);
  }
  if (inputs === undefined) throw new UsageError("--min-cosine needs --inputs <data.json>.");
  return value;
}

function parseRule(text: string): Rule {
  // Names may contain "=", types do not.
  const at = text.lastIndexOf("=");
  if (at < 1) throw new UsageError(`--rule is "${text}"; it must be <glob>=<type>.`);
  return { match: text.slice(0, at), weights: text.slice(at + 1) } as Rule;
}

const patternOf = /^(?:(\D[^:]*):)?(\d+):(\d+)$/;

/** "magnitude:0.5", "lamp:0.7", "2:4", "sparsegpt:2:4". Whether there is such a method the recipe's check says. */
function parsePrune(text: string, refit: boolean): PruneRecipe {
  const fit = refit ? { refit } : {};
  const [, method = "n:m", n, m] = patternOf.exec(text) ?? [];
  if (m !== undefined) {
    return { method, n: Number(n), m: Number(m), ...fit } as PruneRecipe;
  }
  const [, name = "", sparsity] = /^([^:]+):(0?\.\d+|[01])$/.exec(text) ?? [];
  if (sparsity === undefined) {
    throw new UsageError(
      `--prune is "${text}"; it must be <method>:<sparsity>, <n>:<m> or <method>:<n>:<m>: ` +
        '"magnitude:0.5", "2:4", "sparsegpt:2:4".',
    );
  }
  const isAllocation = name === "erk" || name === "global" || name === "lamp";
  return {
    method: isAllocation ? "magnitude" : name,
    sparsity: Number(sparsity),
    ...(isAllocation ? { allocation: name } : {}),
    ...fit,
  } as PruneRecipe;
}

/** The recipe that the options make: rules of the command line come before the recipe's own. */
export async function recipeFrom(args: Arguments): Promise<Recipe> {
  const rules = [
    ...args.keep.map((match): Rule => ({ match, keep: true })),
    ...args.rule.map(parseRule),
  ];
  try {
    const words = {
      ...(args.prune === undefined ? {} : { prune: parsePrune(args.prune, args.refit ?? false) }),
      ...(args.sparse ? { sparse: true } : {}),
    };
    // Pruned and sparse weights keep their types unless a recipe is named.
    const isAlone = args.recipe === undefined && Object.keys(words).length > 0;
    const base = isAlone ? words : await namedRecipe(args.recipe ?? "int8");
    checkRecipe(base);
    const { rules: own = [], ...rest } = base as Recipe;
    const mode = args.mode === undefined ? {} : { mode: args.mode };
    const strip = args.strip === undefined ? {} : { strip: args.strip };
    const requantize = args.requantize === undefined ? {} : { requantize: args.requantize };
    const nonFinite = args["non-finite"] === undefined ? {} : { nonFinite: args["non-finite"] };
    if (args.refit && args.prune === undefined) {
      throw new UsageError("--refit is an option of --prune: give both.");
    }
    const gptq = args.gptq === undefined ? {} : { gptq: args.gptq };
    const options = { ...words, ...gptq, ...mode, ...strip, ...requantize, ...nonFinite };
    const recipe = { ...rest, ...options, rules: [...rules, ...own] } as Recipe;
    checkRecipe(recipe);
    return recipe;
  } catch (error) {
    if (error instanceof ModelShrinkError) throw new UsageError(error.message);
    throw error;
  }
}
