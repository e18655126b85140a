/** Options of the command line, a row each. */

/** An option as a user meets it. */
export interface OptionRow {
  /** "flag" takes no value, "value" one, "list" may be given several times. */
  kind: "flag" | "value" | "list";
  /** The heading under which help lists it. */
  group: OptionGroup;
  /** The letter of its short form. */
  short?: string;
  /** The placeholder of the value in help, such as "<path>". */
  value?: string;
  /** The values that completion offers: these words, paths, or the names of recipes and paths. */
  completes?: readonly string[] | "path" | "recipe";
  /** A sentence, or several. Completion shows its first clause. */
  sentence: string;
  /** Further lines of help. Each is wrapped by itself. */
  details?: readonly string[];
}

/** The headings of options in help, in their order. */
export const optionGroups = {
  output: "Output options",
  recipe: "Recipe options",
  samples: "Sample options",
  images: "Image options",
  other: "Other options",
} as const;

/** The name of a heading. */
export type OptionGroup = keyof typeof optionGroups;
