/** The recipe of a command line: its options, what they mean, and what help says of recipes. */
import { basename, extname } from "node:path";
import { ModelShrinkError } from "../base/errors.js";
import { formats, type FormatName } from "../base/formats.js";
import { readUserFile } from "../files/node/user-file.js";
import { checkRecipe } from "../recipe/check.js";
import { presetNamed, presets, presetsOf } from "../recipe/presets.js";
import { isBlockType, quantizedTypes } from "../arrays/types.js";
import { optionTexts } from "../option-texts.js";
import { recipeOptions, type Recipe } from "../recipe/options.js";
import type { PruneRecipe, Rule, SizeTarget } from "../recipe/types.js";
import { parseJson } from "./json.js";
import type { OptionRow } from "./option-row.js";
import { UsageError } from "./usage-error.js";

/** "nonFinite" → "non-finite". */
export type Kebab<Key extends string> = Key extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `-${Lowercase<First>}`}${Kebab<Rest>}`
  : Key;

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The options of a recipe that one flag, word or number says: by the table, they are options of the command, too. */
const plainKeys = (Object.keys(recipeOptions) as (keyof Recipe)[]).filter(
  (key) => recipeOptions[key].kind !== "other",
);

function plainRow(key: keyof Recipe): OptionRow {
  const { kind, words } = recipeOptions[key];
  const sentence = (optionTexts["recipe"]?.[key] ?? "").replaceAll("`", "");
  if (kind === "flag") return { kind, group: "recipe", sentence };
  const value = words ? `<${words.join("|")}>` : "<number>";
  return {
    kind: "value",
    group: "recipe",
    value,
    ...(words ? { completes: words } : {}),
    sentence,
  };
}

/** Options that a recipe has in another form, or not at all. */
export const ownRecipeOptions = {
  recipe: {
    kind: "value",
    group: "recipe",
    value: "<name|file.json>",
    completes: "recipe",
    sentence: "A preset or a recipe file; int8 when left out.",
    details: ["With --prune or --sparse alone the weights keep their types."],
  },
  prune: {
    kind: "value",
    group: "recipe",
    value: "<method:amount>",
    sentence: "Which weights become zero.",
    details: [
      "magnitude:0.5 or random:0.5; erk:0.5, global:0.5 and lamp:0.5 share the amount among tensors; " +
        "2:4 leaves 2 of each 4 inputs.",
      "With --inputs: wanda:0.5, sparsegpt:0.5, obc:0.5, wanda:2:4 and so on.",
      "structured:0.3 takes whole channels out of an ONNX graph, which gets faster, too (multiples of 8 stay: " +
        "multipleOf of a recipe); with --inputs what reads them is fitted anew.",
    ],
  },
  refit: {
    kind: "flag",
    group: "recipe",
    sentence: "Fits the surviving weights anew, with --prune and --inputs.",
  },
  "target-size": {
    kind: "value",
    group: "recipe",
    value: "<bytes>",
    sentence: "Chooses the steps of int8 weights for a packed file of this size: 300kB, 1.5MB.",
    details: [
      "modelshrink pack writes that file. Steps are as coarse as it takes; plan --survey shows what can be reached.",
    ],
  },
  "target-bits": {
    kind: "value",
    group: "recipe",
    value: "<number>",
    sentence: "Chooses them for so many coded bits of a weight, on average.",
  },
  "target-sqnr": {
    kind: "value",
    group: "recipe",
    value: "<number>",
    sentence: "Chooses them for this signal to noise ratio of all weights together, in dB.",
  },
  keep: {
    kind: "list",
    group: "recipe",
    value: "<glob>",
    sentence: "Leaves these tensors alone; may be given again.",
  },
  rule: {
    kind: "list",
    group: "recipe",
    value: "<glob>=<type>",
    sentence: "Another type for these tensors, of any size; may be given again.",
  },
} as const satisfies Record<string, OptionRow>;

/** The rows of the options that follow from a recipe's table. */
export const plainRecipeOptions: Readonly<Record<string, OptionRow>> = Object.fromEntries(
  plainKeys.map((key) => [kebab(key), plainRow(key)]),
);

/** The values of those options: true for a flag, and text otherwise. */
export type PlainValues = { [Key in Kebab<keyof Recipe>]?: string | boolean };

/** The values for a recipe on the command line. */
export interface RecipeValues extends PlainValues {
  recipe?: string;
  prune?: string;
  refit?: boolean;
  "target-size"?: string;
  "target-bits"?: string;
  "target-sqnr"?: string;
  keep?: string[];
  rule?: string[];
}

/** The paragraphs of help on recipes. */
export function recipeNotes(): string[] {
  const names = Object.entries(presets).map(
    ([name, { description }]) => `  ${name.padEnd(8)} ${description}`,
  );
  const fits = (Object.keys(formats) as FormatName[]).map(
    (format) => `For ${formats[format].title}: ${presetsOf(format).join(" ")}.`,
  );
  return [
    `Types: ${quantizedTypes.filter((it) => !isBlockType(it)).join(" ")}; for GGUF ${quantizedTypes
      .filter(isBlockType)
      .join(" ")}. A format without a type takes the nearest, or leaves the weights and says so.
A glob's * is any text and ? one character; /…/ is a regular expression. The first match decides.`,
    ["Presets:", ...names, ...fits].join("\n"),
    `A recipe file is JSON: {"weights": "int4", "rules": [{"match": "*norm*", "keep": true}]}. Its keys:
${Object.keys(recipeOptions).join(", ")}; the weights, prune or keep of a rule hold for what match names.`,
  ];
}

const targetLabels = (values: RecipeValues): string[] => [
  ...(values["target-size"] === undefined ? [] : [values["target-size"]]),
  ...(values["target-bits"] === undefined ? [] : [`${values["target-bits"]}bits`]),
  ...(values["target-sqnr"] === undefined ? [] : [`${values["target-sqnr"]}dB`]),
];

/** A short name of the recipe, which the names of outputs have: "int8-dynamic". */
export const recipeLabel = ({ recipe, mode, prune, sparse, ...values }: RecipeValues): string =>
  [
    ...(recipe === undefined && (prune !== undefined || sparse) ? [] : [recipe ?? "int8"]).map(
      (name) => basename(name, extname(name)),
    ),
    ...(typeof mode === "string" ? [mode] : []),
    ...(prune === undefined ? [] : [prune.replaceAll(":", "-")]),
    ...(sparse ? ["sparse"] : []),
    ...targetLabels(values),
  ].join("-");

/** A recipe with a rule for each of a hundred thousand tensors has fewer. */
const maxRecipeBytes = 1 << 24;

async function namedRecipe(name: string): Promise<unknown> {
  if (!/\.json$/i.test(name)) return presetNamed(name).recipe;
  const recipe = parseJson(`The recipe "${name}"`, await readUserFile(name, maxRecipeBytes));
  // A file that holds a preset's name means that preset.
  return typeof recipe === "string" ? presetNamed(recipe).recipe : recipe;
}

function parseRule(text: string): Rule {
  // Names may contain "=", types do not.
  const at = text.lastIndexOf("=");
  if (at < 1) throw new UsageError(`--rule is "${text}"; it must be <glob>=<type>.`);
  return { match: text.slice(0, at), weights: text.slice(at + 1) } as Rule;
}

const patternOf = /^(?:(\D[^:]*):)?(\d+):(\d+)$/;

/**
 * Reads "magnitude:0.5", "lamp:0.7", "2:4" or "sparsegpt:2:4". It takes any word as a method; the recipe's check
 * knows which methods there are.
 */
function parsePrune(text: string, refit: boolean): PruneRecipe {
  const fit = refit ? { refit } : {};
  const [, method = "n:m", n, m] = patternOf.exec(text) ?? [];
  if (m !== undefined) {
    return { method, n: Number(n), m: Number(m), ...fit } as PruneRecipe;
  }
  const [, name = "", sparsity] = /^([^:]+):(0?\.\d+|[01])$/.exec(text) ?? [];
  if (sparsity === undefined) {
    throw new UsageError(
      `--prune is "${text}"; it must be <method>:<sparsity>, with a sparsity from 0 to 1, <n>:<m> or ` +
        '<method>:<n>:<m>: "magnitude:0.5", "2:4", "sparsegpt:2:4".',
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

const sizeUnits: Readonly<Record<string, number>> = {
  ...{ "": 1, B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
};

/** Reads "1.5MB" or "270000". */
function parseSize(name: string, text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text) ?? [];
  const factor = sizeUnits[unit];
  if (digits !== undefined && factor !== undefined) return Math.round(Number(digits) * factor);
  throw new UsageError(
    `--${name} is "${text}"; it must be a size, such as 300kB, 1.5MB or 270000.`,
  );
}

/** The target that options say; undefined without one. */
function targetFrom(values: RecipeValues): SizeTarget | undefined {
  const names = (["target-size", "target-bits", "target-sqnr"] as const).filter(
    (it) => values[it] !== undefined,
  );
  const [name, another] = names;
  if (name === undefined) return undefined;
  if (another !== undefined) {
    throw new UsageError(`--${name} and --${another} are two targets: give one of them.`);
  }
  const text = values[name]!;
  if (name === "target-size") return { bytes: parseSize(name, text) };
  if (!/^\d+(\.\d+)?$/.test(text)) {
    throw new UsageError(`--${name} is "${text}"; it must be a number above 0.`);
  }
  return name === "target-bits" ? { bitsPerWeight: Number(text) } : { sqnr: Number(text) };
}

/** The plain options as a recipe has them. */
function plainRecipe(values: PlainValues): Record<string, string | number | boolean> {
  const recipe: Record<string, string | number | boolean> = {};
  for (const key of plainKeys) {
    const name = kebab(key) as keyof PlainValues;
    const value = values[name];
    if (value === undefined) continue;
    const isNumber = recipeOptions[key].kind === "integer";
    if (isNumber && !/^\d+$/.test(String(value))) {
      throw new UsageError(`--${name} is "${String(value)}"; it must be a whole number.`);
    }
    recipe[key] = isNumber ? Number(value) : value;
  }
  return recipe;
}

/** The words of a recipe that options say, without --recipe. Rules come only from here, so that there may be none. */
function wordsFrom(values: RecipeValues): Recipe & { rules: Rule[] } {
  const rules = [
    ...(values.keep ?? []).map((match): Rule => ({ match, keep: true })),
    ...(values.rule ?? []).map(parseRule),
  ];
  const { prune, refit = false } = values;
  if (refit && prune === undefined) {
    throw new UsageError("--refit is an option of --prune: give both.");
  }
  const pruning = prune === undefined ? {} : { prune: parsePrune(prune, refit) };
  const target = targetFrom(values);
  return { ...pruning, ...(target ? { target } : {}), ...plainRecipe(values), rules };
}

async function checkedRecipeFrom(values: RecipeValues): Promise<Recipe> {
  const { prune } = values;
  const { rules, ...words } = wordsFrom(values);
  // Pruned and sparse weights keep their types unless a recipe is named.
  const isAlone = values.recipe === undefined && (prune !== undefined || values.sparse === true);
  const base = isAlone ? {} : await namedRecipe(values.recipe ?? "int8");
  if (!isAlone) await checkRecipe(base);
  const { rules: own = [], ...rest } = base as Recipe;
  const recipe = { ...rest, ...words, rules: [...rules, ...own] };
  await checkRecipe(recipe);
  return recipe;
}

async function checked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ModelShrinkError) throw new UsageError(error.message);
    throw error;
  }
}

/** The options of a recipe that the number types of a layout decide. */
const layoutOwn = [
  ...["recipe" as const, "mode" as const, "symmetric" as const],
  ...["target-size" as const, "target-bits" as const, "target-sqnr" as const],
];

/**
 * The words of a recipe for every number type of a layout. Throws a UsageError for whatever is wrong with them, and for
 * those that the number types decide.
 */
export async function layoutWordsFrom(values: RecipeValues): Promise<Recipe> {
  const own = layoutOwn.find((name) => values[name] !== undefined);
  if (own !== undefined) {
    throw new UsageError(`--layout has recipes of its own, by --dtypes: leave out --${own}.`);
  }
  const words = wordsFrom(values);
  await checked(() => checkRecipe({ ...words, weights: "int8" }));
  return words;
}

/**
 * The recipe that the options make: rules of the command line come before the recipe's own. Throws a UsageError
 * for whatever is wrong with it.
 */
export function recipeFrom(values: RecipeValues): Promise<Recipe> {
  return checked(() => checkedRecipeFrom(values));
}
