/**
 * modelshrink/options: the options of a recipe as data, for forms and help texts: each one's kind, words, default and
 * sentence.
 */
import { optionTexts } from "./option-texts.js";
import { recipeOptions } from "./recipe/options.js";

/** One option of a recipe. */
export interface OptionInfo {
  /** The key in a recipe. */
  name: string;
  /** The kind of its value; "other" is an object, an array or a type. */
  kind: "flag" | "word" | "integer" | "other";
  /** The words that an option of kind "word" may be; none for others. */
  words: readonly string[];
  /** The value that holds when it is left out; undefined where that depends on the type. */
  default: string | number | boolean | undefined;
  /** A sentence or two on its effect. */
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
