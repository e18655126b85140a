/**
 * Options as tables: one row an option. The comment above a row is the option's sentence: editors show it, and
 * scripts/generate.mjs brings it to the command's help and the documentation.
 */
import { checkBoolean, checkInteger, checkKeys, checkObject, checkOneOf } from "./options.js";

/** An option: the check of its value, and the value that holds when it is left out. */
export interface Option<Given, Checked, Default> {
  /** The kind of its value, for command lines and forms. */
  kind: "flag" | "word" | "integer" | "other";
  /** The words that an option of kind "word" may be. */
  words?: readonly string[];
  default: Default;
  /** True when it must be given: its check then refuses undefined. */
  isRequired?: boolean;
  /** Gives the value as the code wants it; throws an ArgumentError that names the option otherwise. */
  check: (name: string, value: unknown) => Checked;
  /** Carries the type that users write; it has no value. */
  given?: Given;
}

type AnyOption = Option<unknown, unknown, unknown>;
/** The options of one function or recipe, by their keys. */
export type OptionTable = Readonly<Record<string, AnyOption>>;

/** The option object that users write for a table. */
export type OptionsOf<Table extends OptionTable> = {
  -readonly [Key in keyof Table]?: NonNullable<Table[Key]["given"]>;
};

/** The option object after its check: every key is there. */
export type CheckedOptions<Table extends OptionTable> = {
  [Key in keyof Table]: ReturnType<Table[Key]["check"]> | Table[Key]["default"];
};

/** Makes an option that is true or false. */
export const flag = <const Default extends boolean | undefined>(
  value: Default,
): Option<boolean, boolean, Default> => ({ kind: "flag", default: value, check: checkBoolean });

/** Makes an option that is one of `words`. */
export const word = <const Word extends string, const Default extends Word | undefined>(
  words: readonly Word[],
  value: Default,
): Option<Word, Word, Default> => ({
  kind: "word",
  words,
  default: value,
  check: (name, given) => checkOneOf(name, given, words),
});

/** Makes an option that is a whole number from `min` to `max`. */
export const integer = <const Default extends number | undefined>(
  min: number,
  max: number,
  value: Default,
): Option<number, number, Default> => ({
  kind: "integer",
  default: value,
  check: (name, given) => checkInteger(name, given, min, max),
});

/** Makes an option with a check of its own; it is undefined when it is left out. */
export const other = <Given, Checked>(
  check: (name: string, value: unknown) => Checked,
): Option<Given, Checked, undefined> => ({ kind: "other", default: undefined, check });

/** Makes an option with a check of its own that must be given. */
export const required = <Given, Checked>(
  check: (name: string, value: unknown) => Checked,
): Option<Given, Checked, never> => ({
  kind: "other",
  default: undefined as never,
  isRequired: true,
  check,
});

/** Makes an option whose check needs to know more than its value, and so happens where it is used. */
export const checkedLater = <Given>(): Option<Given, unknown, undefined> =>
  other<Given, unknown>((_, value) => value);

/**
 * Checks an option object by its table: unknown keys and wrong values are ArgumentErrors, options that are left
 * out get their defaults. `what` is the object's name in errors.
 */
export function checkOptions<Table extends OptionTable>(
  what: string,
  value: unknown,
  table: Table,
): CheckedOptions<Table> {
  const given = checkObject(what, value);
  checkKeys(what, given, Object.keys(table));
  const checked = Object.entries(table).map(([key, option]) => [
    key,
    given[key] === undefined && !option.isRequired ? option.default : option.check(key, given[key]),
  ]);
  return Object.fromEntries(checked) as CheckedOptions<Table>;
}
