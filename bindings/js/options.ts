/**
 * modelshrink/options: what a recipe may say, as data, for forms and help texts: each option's kind, words, default
 * and sentence.
 */
import { optionTexts } from "./option-texts.js";
import { recipeOptions } from "./recipe/options.js";

/** One option of a recipe. */
export interface OptionInfo {
  name: string;
  /** What kind of value it takes. */
  kind: "flag" | "word" | "integer" | "other";
  /** The words that it may be, of kind "word". */
  words: readonly string[];
  /** What holds when it is left out; undefined where that depends on the type. */
  default: string | number | boolean | undefined;
  /** What it does. */
  sentence: string;
}

/** The options of a recipe, in the order of the documentation. */
export const recipeOptionInfos: readonly OptionInfo[] = Object.entries(recipeOptions).map(
  ([name, option]) => ({
    name,
    kind: option.kind,
    words: option.words ?? [],
    default: option.default,
    sentence: optionTexts["recipe"]?.[name] ?? "",
  }),
);
